import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { test } from 'node:test';
import { createHealthPort } from '../../../src/admin/health-port.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { FakeSidecarView } from '../../support/fake-sidecar-view.ts';

test('ready and live, and nothing else', async () => {
  const view = new FakeSidecarView();
  const health = createHealthPort({ address: '127.0.0.1', port: 0, view, logger: silentLogger, clock: systemClock() });
  const { address, port } = await health.start();
  const ask = (path: string, method = 'GET'): Promise<[number | undefined, string]> =>
    new Promise((resolve, reject) => {
      const options = {
        agent: false as const,
        host: address,
        port,
        path,
        method,
        headers: { host: 'sidecar.example' },
      };
      const request = httpRequest(options, (response) => {
        let text = '';
        response.on('data', (piece) => (text += String(piece)));
        response.on('end', () => resolve([response.statusCode, text]));
      });
      request.on('error', reject);
      request.end();
    });
  assert.deepEqual(await ask('/ready'), [200, 'ready\n']);
  view.setReady({ ready: false, reason: 'draining' });
  assert.deepEqual(await ask('/ready?x=1'), [503, 'draining\n']);
  assert.deepEqual(await ask('/ready', 'HEAD'), [503, '']);
  assert.equal((await ask('/ready', 'POST'))[0], 405);
  assert.deepEqual(await ask('/live'), [200, 'live\n']);
  view.isLive = false;
  assert.equal((await ask('/live'))[0], 503);
  for (const path of ['/', '/metrics', '/v1/healthcheck']) assert.equal((await ask(path))[0], 404, path);
  const second = createHealthPort({ address, port, view, logger: silentLogger, clock: systemClock() });
  await assert.rejects(second.start(), { code: 'EADDRINUSE' });
  await Promise.all([health.stop(1000), health.stop(1000)]);
  await assert.rejects(ask('/live'), { code: 'ECONNREFUSED' });
});
