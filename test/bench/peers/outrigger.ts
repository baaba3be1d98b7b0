// The sidecar as its users start it: a control plane gives it a listener, an Upstream with an active TCP check, passive
// checks and retries, and the endpoints; the rest is as it comes. `--before FILE` puts a second
// build beside it, so that a change is measured against what it replaces in the same run.
import { existsSync } from 'node:fs';
import { Agent } from 'node:http';
import { putObject, putObjects } from '../admin-api.ts';
import { freePort } from '../await-ready.ts';
import { readVersion } from '../installed.ts';
import { MANY_ENDPOINTS, MANY_ROUTES } from '../scenario.ts';
import type { Scenario } from '../scenario.ts';
import type { Running, Workbench } from '../workbench.ts';
import { startControlPlane } from './control-plane.ts';
import { adminUpstream, GATEWAY, meshResources, schemeOf } from './mesh-resources.ts';
import type { Peer } from './peer.ts';
import { startControlled, startSidecar } from './sidecar.ts';

/** Time between two changes of the peer with changes. */
const CHANGE_MS = 50;
/** Share of the changes that have to be made in time. */
const ENOUGH = 0.8;

/** How a sidecar is started for one scenario. */
type Start = (bench: Workbench, scenario: Scenario, backendPort: number, program: string) => Promise<Running>;

/** The ways in which a sidecar takes part, by the name of the peer. */
const STARTS: Readonly<Record<string, Start>> = {
  outrigger: (bench, scenario, backendPort, program) => startMeshed(bench, scenario, backendPort, program, 1),
  'outrigger-static': startStatic,
  'outrigger-many-endpoints': (bench, scenario, backendPort, program) =>
    startMeshed(bench, scenario, backendPort, program, MANY_ENDPOINTS),
  'outrigger-gateway': (bench, _, backendPort, program) => startRoutes(bench, backendPort, program, 0),
  'outrigger-many-routes': (bench, _, backendPort, program) => startRoutes(bench, backendPort, program, MANY_ROUTES),
  'outrigger-reload': startReload,
};

/** Every peer that is a sidecar of one build; `program` is its main.js, `suffix` tells two builds apart. */
export function outriggerPeers(program: string, suffix: string): Peer[] {
  return Object.entries(STARTS).map(([name, start]) => ({
    name: name + suffix,
    isJit: true,
    probe: (bench) => {
      if (!existsSync(program)) return { missing: `${program} doesn't exist` };
      return { version: `on Node ${readVersion(bench.node, ['--version'], /v([\d.]+)/)}` };
    },
    start: (bench, scenario, backendPort) => start(bench, scenario, backendPort, program),
  }));
}

/** `run --listen … --to …`: no control plane, no checks. */
async function startStatic(
  bench: Workbench,
  scenario: Scenario,
  backendPort: number,
  program: string,
): Promise<Running> {
  const { certificate, key } = bench.certificate;
  return startSidecar(bench, program, [
    ...[
      '--listen',
      `127.0.0.1:${await freePort()}`,
      '--to',
      `127.0.0.1:${backendPort}`,
      '--scheme',
      schemeOf(scenario),
    ],
    ...(scenario.tls ? ['--tls-cert', certificate, '--tls-key', key] : []),
  ]);
}

/** With a listener of a control plane. */
async function startMeshed(
  bench: Workbench,
  scenario: Scenario,
  backendPort: number,
  program: string,
  endpoints: number,
): Promise<Running> {
  const resources = meshResources(bench, scenario, await freePort(), backendPort, endpoints);
  const control = await startControlPlane(bench, resources);
  return startControlled(bench, control, program, []);
}

/** Through the gateway, with so many routes to one upstream, or one for all paths. */
async function startRoutes(bench: Workbench, backendPort: number, program: string, routes: number): Promise<Running> {
  const control = await startControlPlane(bench, [GATEWAY]);
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const uris = routes === 0 ? ['/*'] : Array.from({ length: routes }, (_, index) => `/r${index}/*`);
  const objects = uris.map((uri, index) => [`/routes/r${index}`, { uri, upstream_id: 'origin' }] as const);
  await putObject(agent, control.adminApiPort, '/upstreams/origin', adminUpstream([`127.0.0.1:${backendPort}`]));
  await putObjects(agent, control.adminApiPort, objects);
  agent.destroy();
  return startControlled(bench, control, program, ['--gateway', '127.0.0.1:0']);
}

/** Through the gateway, with one route; while there is load, an endpoint comes or goes every 50 ms. */
async function startReload(bench: Workbench, _: Scenario, backendPort: number, program: string): Promise<Running> {
  const control = await startControlPlane(bench, [GATEWAY]);
  const [always, sometimes] = [`127.0.0.1:${backendPort}`, `127.0.0.2:${backendPort}`];
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const put = (nodes: readonly string[]): Promise<string> =>
    putObject(agent, control.adminApiPort, '/upstreams/origin?wait=applied', adminUpstream(nodes));
  await put([always]);
  await putObject(agent, control.adminApiPort, '/routes/all', { uri: '/*', upstream_id: 'origin' });
  const running = await startControlled(bench, control, program, ['--gateway', '127.0.0.1:0']);
  return {
    ...running,
    disturb: () =>
      changeRegularly(async (index) => {
        const { applied } = JSON.parse(await put(index % 2 === 0 ? [always, sometimes] : [always])) as Applied;
        if (applied.acknowledged.length !== 1) throw new Error(`a change was not applied: ${JSON.stringify(applied)}`);
      }),
    stop: async () => {
      agent.destroy();
      await running.stop();
    },
  };
}

/** What the Admin API answers about a change that the sidecar has taken. */
interface Applied {
  readonly applied: { readonly acknowledged: readonly string[] };
}

/** Makes a change every 50 ms until it is told to end; that rejects if one failed or they took longer than their time. */
function changeRegularly(change: (index: number) => Promise<void>): () => Promise<void> {
  let isOver = false;
  let made = 0;
  const startedAtMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedAtMs;
  const work = async (): Promise<void> => {
    while (!isOver) {
      await change(made++);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, made * CHANGE_MS - elapsedMs())));
    }
  };
  const done = work();
  // Is looked at when the load is over.
  done.catch(() => undefined);
  return async () => {
    isOver = true;
    const dueChanges = elapsedMs() / CHANGE_MS;
    await done;
    if (made < dueChanges * ENOUGH) throw new Error(`only ${made} of ${Math.round(dueChanges)} changes were made`);
  };
}
