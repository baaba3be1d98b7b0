// Handshakes on real sockets, with an acceptor and a handler that are made for the test.
import assert from 'node:assert/strict';
import { createServer, connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls, createSecureContext, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { silentLogger } from '../../../src/base/log.ts';
import { acceptTls, type HandshakeHandler } from '../../../src/net/accept-tls.ts';
import type { TlsAcceptor, TlsRefusal } from '../../../src/net/tls.ts';
import type { Transport } from '../../../src/net/transport.ts';
import {
  issueAuthority,
  issueCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { commonName, until } from '../../support/tls-peer.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const HANDSHAKE_MS = 5000;

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

let authority: TestAuthority;
let certificate: TestCertificate;
let caller: TestCertificate;

before(async () => {
  authority = await issueAuthority();
  [certificate, caller] = await Promise.all([
    issueCertificate(authority, { commonName: 'listener', dns: ['localhost'] }),
    issueCertificate(authority, { commonName: 'caller' }),
  ]);
});

/** Notes what it hears; what comes is text. */
class Ear implements HandshakeHandler {
  readonly heard: string[] = [];
  transport: Transport | undefined = undefined;
  text = '';
  /** Called with the transport when it is attached. */
  whenAttached: (transport: Transport) => void = () => undefined;

  attach(transport: Transport): void {
    this.transport = transport;
    this.heard.push('attach');
    this.whenAttached(transport);
  }

  attachPlaintext(transport: Transport): void {
    this.transport = transport;
    this.heard.push('plaintext');
    this.whenAttached(transport);
  }

  onHandshakeRefused({ kind, detail }: TlsRefusal, remoteAddress: string): void {
    assert.equal(remoteAddress, '127.0.0.1');
    this.heard.push(`${kind}: ${detail}`);
  }

  onRead(bytes: Buffer, length: number): void {
    this.text += bytes.toString('latin1', 0, length);
  }

  onEnd(): void {
    this.heard.push('end');
  }

  onDrain(): void {}

  onClose(error: string | undefined): void {
    this.heard.push(error === undefined ? 'close' : `close ${error}`);
  }

  get isClosed(): boolean {
    return this.heard.some((what) => what.startsWith('close'));
  }
}

interface Fixture {
  readonly port: number;
  readonly clock: FakeClock;
  /** May be changed. */
  readonly acceptor: { -readonly [Member in keyof TlsAcceptor]: TlsAcceptor[Member] };
  /** Of the connections in order. */
  readonly ears: Ear[];
  readonly aborts: (() => void)[];
}

async function start(overrides: Partial<TlsAcceptor> = {}, whenAttached?: Ear['whenAttached']): Promise<Fixture> {
  const clock = new FakeClock();
  const acceptor: Fixture['acceptor'] = {
    alpn: ['h2', 'http/1.1'],
    context: createSecureContext({
      cert: certificate.chain,
      key: certificate.keyPem,
      ca: authority.certificatePem,
      sessionIdContext: 'test',
    }),
    error: '',
    contextFor: undefined,
    requestsCertificate: false,
    requiresCertificate: false,
    refusal: () => undefined,
    ...overrides,
  };
  const ears: Ear[] = [];
  const aborts: (() => void)[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (raw) => {
    const ear = new Ear();
    if (whenAttached) ear.whenAttached = whenAttached;
    ears.push(ear);
    aborts.push(acceptTls(raw, acceptor, HANDSHAKE_MS, ear, { clock, logger: silentLogger }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, clock, acceptor, ears, aborts };
}

function call(port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    ca: authority.certificatePem,
    ...options,
  });
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  return socket;
}

async function secured(socket: TLSSocket): Promise<TLSSocket> {
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  return socket;
}

async function dial(port: number, bytes: Buffer | string = ''): Promise<Socket> {
  const socket = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(bytes);
  return socket;
}

async function earOf({ ears }: Fixture, index = 0): Promise<Ear> {
  await until(() => ears.length > index, 'a connection');
  const ear = ears[index];
  assert.ok(ear);
  return ear;
}

const closed = (ear: Ear): Promise<void> => until(() => ear.isClosed, 'closed');

describe('a handshake', () => {
  it('whose verdict throws costs its connection alone', async () => {
    const fixture = await start({
      refusal: () => {
        throw new TypeError('a bug');
      },
    });
    call(fixture.port);
    const ear = await earOf(fixture);
    await until(() => ear.isClosed, 'the end');
    assert.match(ear.heard.join(), /^internal: /);
    fixture.acceptor.refusal = () => undefined;
    await secured(call(fixture.port));
  });

  for (const version of VERSIONS) {
    const only = { minVersion: version, maxVersion: version };

    it(`over ${version} hands a transport on that says what was settled`, async () => {
      const fixture = await start({ requestsCertificate: true });
      const options = { ALPNProtocols: ['http/1.1'], cert: caller.chain, key: caller.keyPem, ...only };
      const socket = call(fixture.port, options);
      let session: Buffer | undefined;
      socket.on('session', (offered: Buffer) => (session = offered));
      let answer = '';
      socket.on('data', (bytes: Buffer) => (answer += bytes.toString()));
      socket.write('hello'); // leaves with the last flight of the handshake
      const ear = await earOf(fixture);
      await until(() => ear.text === 'hello', 'what was sent with the handshake');
      const { tls } = ear.transport ?? {};
      assert.equal(tls?.version, version);
      assert.equal(tls.alpn, 'http/1.1');
      assert.equal(tls.resumed, false);
      assert.equal(tls.certificate?.subject, 'CN=caller');
      ear.transport?.writeLatin1('and back');
      ear.transport?.end();
      await until(() => answer === 'and back', 'the answer');
      socket.end();
      await closed(ear);
      assert.deepEqual(ear.heard, ['attach', 'end', 'close']);
      assert.equal(fixture.clock.waiting, 0, 'no timer is left');

      await secured(call(fixture.port, { ...options, ...(session && { session }) }));
      const again = await earOf(fixture, 1);
      await until(() => again.transport !== undefined, 'a transport');
      assert.equal(again.transport?.tls?.resumed, true);
      assert.equal(again.transport.tls.certificate?.subject, 'CN=caller', 'also of a session');
    });

    it(`over ${version} without a certificate that is required fails`, async () => {
      const fixture = await start({ requestsCertificate: true, requiresCertificate: true });
      call(fixture.port, only);
      const ear = await earOf(fixture);
      await closed(ear);
      assert.deepEqual(ear.heard, [
        'tls_handshake_failure: the caller showed no certificate, and this listener requires one',
        'close',
      ]);
    });

    it(`over ${version} whose caller may not pass ends there`, async () => {
      const verdicts: (string | undefined)[] = [];
      const fixture = await start({
        requestsCertificate: true,
        refusal: (_socket, verifyCode) => {
          verdicts.push(verifyCode);
          return { kind: 'client_certificate_refused', detail: 'no' };
        },
      });
      const stranger = await issueCertificate(await issueAuthority());
      for (const shown of [caller, stranger]) {
        const socket = call(fixture.port, { cert: shown.chain, key: shown.keyPem, ...only });
        let got = 0;
        socket.on('data', () => got++);
        socket.write('secret');
        await new Promise((resolve) => socket.once('close', resolve));
        assert.equal(got, 0);
      }
      for (const ear of fixture.ears) {
        await closed(ear);
        assert.deepEqual(ear.heard, ['client_certificate_refused: no', 'close']);
        assert.equal(ear.text, '');
      }
      assert.deepEqual(verdicts, [undefined, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']);
    });
  }

  it('asks for the context as it is then, and for the one of a name', async () => {
    const other = await issueCertificate(authority, { commonName: 'other', dns: ['localhost'] });
    const named = await issueCertificate(authority, { commonName: 'named', dns: ['localhost'] });
    const contextOf = ({ chain, keyPem }: TestCertificate) => createSecureContext({ cert: chain, key: keyPem });
    const fixture = await start();
    const shown = async (): Promise<string> => commonName(await secured(call(fixture.port)));
    assert.equal(await shown(), 'listener');
    fixture.acceptor.context = contextOf(other);
    assert.equal(await shown(), 'other');
    const context = contextOf(named);
    const asked: string[] = [];
    fixture.acceptor.contextFor = (name) => (asked.push(name), context);
    assert.equal(await shown(), 'named');
    assert.deepEqual(asked, ['localhost']);
  });

  it('without a certificate to show fails with the reason', async () => {
    const fixture = await start({ context: undefined, error: 'Secret shop/web is missing' });
    call(fixture.port);
    const ear = await earOf(fixture);
    await closed(ear);
    assert.deepEqual(ear.heard, ['tls_handshake_failure: Secret shop/web is missing', 'close']);
  });

  it('that takes too long is cut, wherever it stands', async () => {
    const fixture = await start();
    await dial(fixture.port);
    await dial(fixture.port, Buffer.from([0x16]));
    await dial(fixture.port, Buffer.from('1603010200', 'hex'));
    await until(() => fixture.ears.length === 3, 'three connections');
    await until(() => fixture.clock.waiting === 3, 'three timers');
    fixture.clock.advance(HANDSHAKE_MS - 1);
    assert.deepEqual(
      fixture.ears.flatMap(({ heard }) => heard),
      [],
    );
    fixture.clock.advance(1);
    for (const ear of fixture.ears) {
      await closed(ear);
      assert.deepEqual(ear.heard, ['tls_handshake_failure: it was not done after 5 s', 'close']);
    }
  });

  it('is given up without a word about the caller', async () => {
    const fixture = await start();
    await dial(fixture.port);
    await dial(fixture.port, Buffer.from('1603010200', 'hex'));
    await until(() => fixture.aborts.length === 2, 'two connections');
    for (const abort of fixture.aborts) abort();
    for (const ear of fixture.ears) {
      await closed(ear);
      assert.deepEqual(ear.heard, ['close']);
    }
    assert.equal(fixture.clock.waiting, 0);
  });

  it('that the caller leaves is none that failed', async () => {
    const fixture = await start();
    const ways: ((socket: Socket) => void)[] = [(s) => s.end(), (s) => s.destroy(), (s) => s.resetAndDestroy()];
    let count = 0;
    for (const bytes of ['', '\x16', '\x16\x03\x01\x02\x00\x01']) {
      for (const leave of ways) {
        const socket = await dial(fixture.port, Buffer.from(bytes, 'latin1'));
        const ear = await earOf(fixture, count++);
        leave(socket);
        await closed(ear);
        assert.equal(ear.heard.at(-1), 'close');
        assert.ok(ear.heard.length === 1 || /closed during the handshake/.test(ear.heard[0] ?? ''), ear.heard.join());
      }
    }
    assert.equal(fixture.clock.waiting, 0);
  });

  it('that is garbage fails', async () => {
    const fixture = await start();
    await dial(fixture.port, Buffer.alloc(2000, 0x16));
    const ear = await earOf(fixture);
    await closed(ear);
    assert.equal(ear.heard.length, 2);
    assert.match(ear.heard[0] ?? '', /^tls_handshake_failure: /);
  });
});

describe('plaintext', () => {
  it('is handed on without what was sent first', async () => {
    const fixture = await start();
    const socket = await dial(fixture.port, 'GET / HTTP/1.1\r\n\r\n');
    const ear = await earOf(fixture);
    await until(() => ear.transport !== undefined, 'a transport');
    assert.equal(ear.transport?.tls, undefined);
    assert.equal(fixture.clock.waiting, 0);
    let answer = '';
    socket.on('data', (bytes: Buffer) => (answer += bytes.toString()));
    ear.transport?.writeLatin1('no');
    ear.transport?.endLingering();
    await until(() => answer === 'no', 'the answer');
    socket.end('more');
    await closed(ear);
    assert.deepEqual(ear.heard, ['plaintext', 'close']);
    assert.equal(ear.text, '');
  });
});

describe('the transport', () => {
  it('closes once, by whichever end', async () => {
    const ends: ((transport: Transport, socket: TLSSocket) => void)[] = [
      (transport) => transport.destroy(),
      (transport) => transport.reset(),
      (transport) => transport.endLingering(),
      (_transport, socket) => socket.destroy(),
    ];
    for (const [i, end] of ends.entries()) {
      const fixture = await start();
      const socket = await secured(call(fixture.port));
      const ear = await earOf(fixture);
      await until(() => ear.transport !== undefined, 'a transport');
      assert.ok(ear.transport);
      socket.resume();
      end(ear.transport, socket);
      if (socket.destroyed) {
        // A FIN, after which writing is still possible; or a reset, where something that came was not read.
        await until(() => ear.heard.includes('end') || ear.isClosed, 'the end');
        ear.transport.destroy();
      }
      await closed(ear);
      assert.equal(ear.transport.isClosed, true);
      assert.equal(ear.heard.filter((what) => what.startsWith('close')).length, 1, `${i}: ${ear.heard.join()}`);
    }
  });

  it('may be closed as it is handed on', async () => {
    for (const end of [(t: Transport) => t.destroy(), (t: Transport) => t.reset(), (t: Transport) => t.end()]) {
      const fixture = await start({}, end);
      const socket = call(fixture.port);
      socket.resume();
      const ear = await earOf(fixture);
      await closed(ear);
      assert.equal(ear.heard[0], 'attach');
    }
  });

  it('costs itself alone where its handler throws', async () => {
    const fixture = await start({}, () => {
      throw new Error('a bug');
    });
    call(fixture.port).resume();
    const ear = await earOf(fixture);
    await closed(ear);
    assert.deepEqual(ear.heard, ['attach', 'close']);
    const plain = await dial(fixture.port);
    plain.on('error', () => undefined);
    plain.resume().write('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => plain.once('end', resolve));
  });

  it('closes over bytes that are no records', async () => {
    const fixture = await start();
    const raw = await dial(fixture.port);
    const socket = await secured(call(fixture.port, { socket: raw }));
    const ear = await earOf(fixture);
    await until(() => ear.transport !== undefined, 'a transport');
    socket.on('error', () => undefined);
    raw.write(Buffer.from('17030300200000000000000000000000000000000000000000000000000000000000000000', 'hex'));
    await closed(ear);
    assert.match(ear.heard.at(-1) ?? '', /^close ERR_SSL_/);
  });
});
