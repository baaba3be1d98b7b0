// WebSockets between the ends that applications have: the handshake with its key, and frames both ways.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { httpCall } from '../../support/http-call.ts';
import { closedPort } from '../../support/raw-server.ts';
import { until, upstreamTls } from '../../support/tls-peer.ts';
import { openWebSocket, startWebSocketEndpoint, type WebSocketEndpoint } from '../../support/websocket-peer.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers.reverse()) close();
});

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

async function endpoint(...args: Parameters<typeof startWebSocketEndpoint>): Promise<WebSocketEndpoint> {
  const started = await startWebSocketEndpoint(...args);
  closers.push(() => started.close());
  return started;
}

/** Opens one, has messages echoed, and ends it. */
async function talk(port: number, asked: WebSocketEndpoint): Promise<void> {
  const call = await openWebSocket(port);
  assert.equal(call.status, 101);
  for (const text of ['one', 'two', 'x'.repeat(125)]) await call.say(text);
  assert.deepEqual(call.echoed, ['one', 'two', 'x'.repeat(125)]);
  assert.deepEqual(asked.messages, call.echoed);
  const { headers } = asked.requests[0] ?? assert.fail('no request');
  assert.equal(headers.upgrade, 'websocket');
  assert.match(headers.connection ?? '', /^upgrade$/i);
  assert.equal(headers['sec-websocket-version'], '13');
  assert.equal(headers.host, 'a.example');
  await call.end();
  await until(() => asked.open.size === 0, 'the endpoint ends it');
}

describe('WebSockets', () => {
  it('APISIX row 81: an upgrade gets 101 and frames flow, to an http endpoint', async () => {
    const asked = await endpoint();
    const { port, records } = await plane([asked.port]);
    await talk(port, asked);
    await until(() => records.length === 1, 'the record');
    assert.deepEqual([records[0]?.status, records[0]?.error], [101, undefined]);
  });

  it('APISIX row 81: an upgrade gets 101 and frames flow, to an https endpoint', async () => {
    const authority = await issueAuthority();
    const { chain, keyPem } = await issueCertificate(authority, { dns: ['a.example'] });
    const asked = await endpoint({ cert: chain, key: keyPem });
    const { port } = await plane([asked.port], { scheme: 'https', tls: upstreamTls(authority) });
    await talk(port, asked);
  });

  it('APISIX row 81: what is no upgrade to websocket reaches the endpoint without Upgrade, and gets its 400', async () => {
    const asked = await endpoint();
    const { port } = await plane([asked.port]);
    for (const headers of [
      { connection: 'Upgrade', upgrade: 'h2c' },
      { connection: 'keep-alive', upgrade: 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' },
      {},
    ]) {
      assert.equal((await httpCall(port, { path: '/chat', headers: { host: 'a.example', ...headers } })).status, 400);
    }
    for (const { headers } of asked.requests) assert.equal(headers.upgrade, undefined);
    assert.equal(asked.requests.length, 3);
  });

  it('a dead endpoint is passed over for one like for any request', async () => {
    const dead = await closedPort();
    const asked = await endpoint();
    const { port, records } = await plane([endpointAt(dead, { priority: 1 }), endpointAt(asked.port)]);
    await talk(port, asked);
    await until(() => records.length === 1, 'the record');
    assert.deepEqual(
      records[0]?.attempts.map((attempt) => attempt.endpoint.spec.port),
      [dead, asked.port],
    );
  });
});
