// Kinds of failed handshakes with an endpoint that answers by a plaintext alert, over a real loopback socket.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createSecureContext } from 'node:tls';
import { silentLogger } from '../../../src/base/log.ts';
import { connect } from '../../../src/net/connect.ts';
import type { TlsConnector } from '../../../src/net/tls.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { startRawServer, type RawServer } from '../../support/raw-server.ts';

const servers: RawServer[] = [];
after(() => {
  for (const server of servers) server.close();
});

const CONNECTOR: TlsConnector = {
  context: createSecureContext(),
  serverName: 'web.example',
  alpn: ['h2'],
  session: undefined,
  keepSession: () => undefined,
  forgetSession: () => undefined,
  refusal: () => undefined,
};

/** Connects to an endpoint that answers the ClientHello with a fatal alert (RFC 8446 section 6). */
async function failureAfter(alert: number): Promise<{ readonly kind: string; readonly detail: string }> {
  const server = await startRawServer((socket) =>
    socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, alert]))),
  );
  servers.push(server);
  return new Promise((resolve, reject) => {
    const handler = {
      onConnect: () => reject(new Error('connected')),
      onConnectError: (kind: string, detail: string) => resolve({ kind, detail }),
      onRead: () => undefined,
      onEnd: () => undefined,
      onDrain: () => undefined,
      onClose: () => undefined,
    };
    connect('127.0.0.1', server.port, 5000, handler, { clock: new FakeClock(), logger: silentLogger }, CONNECTOR);
  });
}

describe('connect over TLS', () => {
  it('tells an unknown server name (RFC 6066 section 3) from what is wrong with the endpoint', async () => {
    const { kind, detail } = await failureAfter(112);
    assert.equal(kind, 'upstream_certificate_name_mismatch');
    assert.match(detail, /set tls\.server_name/);
    assert.equal((await failureAfter(40)).kind, 'upstream_tls_failure');
    assert.equal((await failureAfter(80)).kind, 'upstream_tls_failure');
  });

  it('tells a handshake that takes too long from a connection that does', async () => {
    const clock = new FakeClock();
    const server = await startRawServer((socket) => socket.once('data', () => clock.advance(5000)));
    servers.push(server);
    const failure = await new Promise((resolve, reject) => {
      const handler = {
        onConnect: () => reject(new Error('connected')),
        onConnectError: (kind: string, detail: string) => resolve([kind, detail]),
        onRead: () => undefined,
        onEnd: () => undefined,
        onDrain: () => undefined,
        onClose: () => undefined,
      };
      connect('127.0.0.1', server.port, 5000, handler, { clock, logger: silentLogger }, CONNECTOR);
    });
    assert.deepEqual(failure, ['connect_timeout', 'the endpoint left the TLS handshake unfinished']);
  });
});
