// The outbound listener: one port for every service, by authority, and a forward proxy.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startBackend, type Backend } from '../../support/gateway-scene.ts';
import { httpCall } from '../../support/http-call.ts';
import { portOf, runProgram, startProgram, type Program } from '../../support/program.ts';

describe('run --outbound', () => {
  let dir: string;
  let cart: Backend;
  let web: Backend;
  let control: Program;
  let sidecar: Program;
  let port: number;

  before(async () => {
    [cart, web] = [await startBackend(), await startBackend()];
    dir = mkdtempSync(join(tmpdir(), 'outrigger-outbound-'));
    const service = (namespace: string, name: string, servicePort: number, backend: Backend): string => `
apiVersion: v1
kind: Service
metadata: {namespace: ${namespace}, name: ${name}}
spec: {ports: [{name: http, port: ${servicePort}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: ${namespace}, name: ${name}-1, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: http, port: ${backend.port}}]
endpoints: [{addresses: [127.0.0.1]}]
`;
    writeFileSync(join(dir, 'a.yaml'), `${service('shop', 'cart', 80, cart)}---${service('blog', 'web', 7000, web)}`);
    control = await startProgram(['control', '--dir', dir, '--ads', '0']);
    sidecar = await startProgram([
      ...['run', '--control', control.ready.ads ?? '', '--admin', '0', '--health', '0'],
      ...['--listener-ports', 'ephemeral', '--outbound', '0'],
    ]);
    port = portOf(sidecar.ready.outbound);
  });
  after(async () => {
    await sidecar.stop();
    await control.stop();
    cart.close();
    web.close();
    rmSync(dir, { recursive: true });
  });

  const askFor = async (host: string, path = '/x'): Promise<[number, string]> => {
    const { status, body } = await httpCall(port, { path, headers: { host } });
    return [status, body.toString()];
  };

  test('the ready line has its address, and not among the listeners', () => {
    assert.match(sidecar.ready.outbound ?? '', /^127\.0\.0\.1:\d+$/);
    assert.equal(sidecar.ready.listeners?.length, 2);
  });

  test('the authority picks the service port', async () => {
    for (const host of ['cart', 'cart.shop', 'cart.shop.svc:80', 'CART.shop.svc.cluster.local.']) {
      assert.deepEqual(await askFor(host), [200, String(cart.port)], host);
    }
    assert.deepEqual(await askFor('web.blog:7000'), [200, String(web.port)]);
  });

  test('an application needs only HTTP_PROXY', async () => {
    // What a client sends to its proxy: the whole URL (RFC 9112 section 3.2.2).
    assert.deepEqual(await askFor('web.blog:7000', 'http://web.blog:7000/index.html?a=1'), [200, String(web.port)]);
    const seen = web.requests.at(-1);
    assert.deepEqual([seen?.url, seen?.headers.host], ['/index.html?a=1', 'web.blog:7000']);
    await httpCall(port, { headers: { host: 'web.blog:7000', 'Proxy-Authorization': 'Basic dTpw' } });
    assert.equal(web.requests.at(-1)?.headers['proxy-authorization'], undefined, 'that was for the proxy');
  });

  test('it is no way out to the world', async () => {
    for (const host of ['example.org', `127.0.0.1:${cart.port}`, 'web.blog', 'cart:7000']) {
      const { status, headers } = await httpCall(port, { headers: { host } });
      assert.deepEqual([status, headers['x-outrigger-reason']], [404, 'no_route'], host);
    }
  });

  test('a service that comes is there at once', async () => {
    const before = await askFor('late.shop:8000');
    assert.equal(before[0], 404);
    writeFileSync(
      join(dir, 'b.yaml'),
      `apiVersion: v1
kind: Service
metadata: {namespace: shop, name: late}
spec: {ports: [{name: http, port: 8000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: late-1, labels: {kubernetes.io/service-name: late}}
addressType: IPv4
ports: [{name: http, port: ${web.port}}]
endpoints: [{addresses: [127.0.0.1]}]
`,
    );
    const deadline = process.hrtime.bigint() + 10_000_000_000n;
    while ((await askFor('late.shop:8000'))[0] !== 200) assert.ok(process.hrtime.bigint() < deadline, 'in time');
  });

  test('what cannot be is said at start', async () => {
    for (const [args, reason] of [
      [['--outbound', '0'], /--outbound: there is no control plane/],
      [['--gateway', '0'], /--gateway: there is no control plane/],
      [['--gateway', '0', '--control', '127.0.0.1:1', '--xds', 'sotw'], /--gateway: routes need --xds delta/],
    ] as const) {
      const { status, log } = await runProgram(['run', '--admin', '0', '--health', '0', ...args]);
      assert.equal(status, 2, log);
      assert.match(log, reason);
    }
    const taken = await runProgram([
      ...['run', '--admin', '0', '--health', '0', '--control', control.ready.ads ?? ''],
      ...['--outbound', String(port)],
    ]);
    assert.equal(taken.status, 1, taken.log);
    assert.match(taken.log, /--outbound: .*in use/);
  });
});
