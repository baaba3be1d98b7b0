// Real sockets on loopback: whether this version of Node has the places that net/user-buffer.ts looks for shows only there.
import assert from 'node:assert/strict';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { after, it } from 'node:test';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { READ_BUFFER, type SocketTransport } from '../../../src/net/socket-transport.ts';
import { readInto } from '../../../src/net/user-buffer.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';

const sockets: Socket[] = [];
const server = createServer();
after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

interface FirstRead {
  readonly text: string;
  /** It came in the buffer of all connections. */
  readonly isShared: boolean;
}

/** Stands for a transport. */
function firstRead(socket: Socket): Promise<FirstRead> {
  return new Promise((resolve) => {
    const read = (bytes: Buffer, length: number): void =>
      resolve({ text: bytes.toString('latin1', 0, length), isShared: bytes === READ_BUFFER });
    readInto(socket, { read, nextReadBuffer: () => undefined } as unknown as SocketTransport);
    socket.resume();
  });
}

/** Both ends of a connection. */
async function pair(): Promise<{ accepted: Socket; peer: Socket }> {
  if (!server.listening) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const coming = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const accepted = await coming;
  for (const socket of [accepted, peer]) sockets.push(socket.on('error', () => undefined));
  return { accepted, peer };
}

it('an accepted socket reads into the buffer of all connections', async () => {
  const { accepted, peer } = await pair();
  peer.write('plain');
  assert.deepEqual(await firstRead(accepted), { text: 'plain', isShared: true });
});

it('a socket that speaks TLS does too, at either end', async () => {
  const authority = await issueAuthority();
  const { keyPem: key, chain: cert } = await issueCertificate(authority, { commonName: 'server' });
  const { accepted, peer } = await pair();
  const secureContext = createSecureContext({ key, cert });
  const served = new TLSSocket(accepted, { isServer: true, secureContext });
  served.on('error', () => undefined).resume();
  const atServer = new Promise<FirstRead>((resolve) => served.once('secure', () => resolve(firstRead(served))));
  const client = connectTls({ socket: peer, rejectUnauthorized: false });
  client.on('error', () => undefined);
  const atClient = new Promise<FirstRead>((resolve) =>
    client.once('secureConnect', () => {
      resolve(firstRead(client));
      client.write('up');
    }),
  );
  assert.deepEqual(await atServer, { text: 'up', isShared: true });
  served.write('down');
  assert.deepEqual(await atClient, { text: 'down', isShared: true });
});

it('what Node has read before, and what has no handle, comes as `data`', async () => {
  const { accepted, peer } = await pair();
  const readable = new Promise((resolve) => accepted.once('readable', resolve));
  peer.write('early');
  await readable;
  assert.deepEqual(await firstRead(accepted), { text: 'early', isShared: false });
  const through = new PassThrough();
  through.write('other');
  assert.deepEqual(await firstRead(through as unknown as Socket), { text: 'other', isShared: false });
});
