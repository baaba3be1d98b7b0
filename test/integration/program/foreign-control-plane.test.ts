// A control plane that shares nothing with src/ but the .proto files drives the program, in both flavours: the walk of the
// tree, a call, a bad resource among good ones, its correction, and a stream that breaks.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { adminClient, type AdminClient } from '../../support/admin-client.ts';
import { httpCall } from '../../support/http-call.ts';
import { portOf, startProgram, type Program } from '../../support/program.ts';
import { ScriptedAds, type Push, type ScriptedStream } from '../../support/scripted-ads.ts';

const UPSTREAM = 'default/foo';

for (const flavour of ['delta', 'sotw'] as const) {
  describe(`a foreign control plane, ${flavour}`, () => {
    const servers: ReturnType<typeof createServer>[] = [];
    let ads: ScriptedAds;
    let sidecar: Program;
    let admin: AdminClient;
    let stream: ScriptedStream;
    let port: number;
    let versions = 0;

    const backend = async (name: string): Promise<number> => {
      const server = createServer((_, response) => response.end(name));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      servers.push(server);
      return (server.address() as AddressInfo).port;
    };
    const push = (kind: string, ...resources: Push[]): string => {
      const version = String(++versions);
      return stream.push(
        kind,
        resources.map((resource) => ({ version, ...resource })),
        { version },
      );
    };
    const endpoints = (...ports: number[]): Push => ({
      name: `${UPSTREAM}/7000`,
      message: {
        name: `${UPSTREAM}/7000`,
        endpoints: ports.map((number) => ({ address: '127.0.0.1', port: number })),
      },
    });
    const upstream = (fields: object): Push => ({ name: UPSTREAM, message: { name: UPSTREAM, ...fields } });
    const state = async (kind: string, name: string): Promise<{ state: string; error: string } | undefined> => {
      const { resources } = await admin.getSnapshot({ kind });
      return resources.find((resource) => resource.name === name);
    };
    const body = async (): Promise<string> => (await httpCall(port)).body.toString();

    before(async () => {
      ads = await ScriptedAds.start();
      const starting = startProgram([
        ...['run', '--control', `127.0.0.1:${ads.port}`, '--xds', flavour, '--node-id', 'foreign'],
        ...['--admin', '0', '--health', '0', '--listener-ports', 'ephemeral'],
      ]);
      stream = await ads.stream();
      await stream.expect('Sidecar');
      push('Sidecar', { name: 'default', message: { name: 'default', listeners: ['outbound/7000'] } });
      await stream.expect('Listener');
      const targets = [{ upstream: UPSTREAM, service_port: 7000 }];
      push('Listener', { name: 'outbound/7000', message: { name: 'outbound/7000', port: 7000, targets } });
      await stream.expect('Upstream');
      await stream.expect('Endpoints');
      push('Upstream', upstream({ max_attempts: 2 }));
      push('Endpoints', endpoints(await backend('one')));
      sidecar = await starting;
      port = portOf(sidecar.ready.listeners?.[0]?.address);
      admin = adminClient(portOf(sidecar.ready.admin));
    });

    after(async () => {
      admin.close();
      assert.equal(await sidecar.stop(), 0);
      ads.kill();
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    });

    it('is obeyed', async () => {
      assert.equal(sidecar.ready.listeners?.[0]?.name, 'outbound/7000');
      assert.equal(await body(), 'one');
    });

    it('a bad resource is shown as NACKED with its reason and changes nothing', async () => {
      const nonce = push(
        'Upstream',
        upstream({
          scheme: 'grcp',
          port_level_settings: [{ port: 7000, discovery_type: 'nacos', service_name: 'foo' }],
        }),
      );
      const { error } = await stream.expectNack('Upstream', nonce);
      assert.match(error, /Upstream default\/foo/);
      assert.match(error, /scheme: .*grcp/);
      assert.match(error, /port_level_settings\[0\].discovery_type: .*not supported yet/);
      const shown = await state('Upstream', UPSTREAM);
      assert.equal(shown?.state, 'RESOURCE_STATE_NACKED');
      assert.match(shown?.error ?? '', /grcp/);
      assert.equal(await body(), 'one');
      assert.equal((await state('Listener', 'outbound/7000'))?.state, 'RESOURCE_STATE_ACKED');
    });

    it('a correction is ACKED, and endpoints move without the policy', async () => {
      await stream.expectAck('Upstream', push('Upstream', upstream({ max_attempts: 3 })));
      assert.equal((await state('Upstream', UPSTREAM))?.state, 'RESOURCE_STATE_ACKED');
      await stream.expectAck('Endpoints', push('Endpoints', endpoints(await backend('two'))));
      for (let i = 0; i < 100 && (await body()) !== 'two'; i++) await delay(10);
      assert.equal(await body(), 'two');
    });

    it('a stream that breaks changes nothing; the next one is told what is held', async () => {
      ads.kill();
      assert.equal(await body(), 'two');
      ads = await ScriptedAds.start(ads.port);
      stream = await ads.stream();
      const request = await stream.expect('Endpoints');
      if (flavour === 'delta') {
        assert.deepEqual(Object.keys(request.initial_resource_versions), [`${UPSTREAM}/7000`]);
      } else assert.notEqual(request.version_info, '');
      assert.equal(await body(), 'two');
    });
  });
}
