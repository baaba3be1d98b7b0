// What a control plane gives to a sidecar under test.
import { MANY_ENDPOINTS } from '../scenario.ts';
import type { Scenario } from '../scenario.ts';
import type { Workbench } from '../workbench.ts';
import type { NativeResource } from './control-plane.ts';
import { loopbackAddress } from './loopback.ts';

const RETRIES = 2;
const SERVICE_PORT = 80;

/** The Sidecar of one whose routes come from the Admin API. */
export const GATEWAY: NativeResource = { kind: 'Sidecar', metadata: { name: 'default' }, spec: { gateway: true } };

/** What the endpoints of a scenario speak, as the sidecar calls it. */
export function schemeOf({ upstream }: Scenario): string {
  return upstream === 'h2' ? 'grpc' : 'http';
}

/** Seconds between two checks of an endpoint: a thousand of them are checked a hundred times a second. */
export function checkSeconds(endpoints: number): number {
  return endpoints >= MANY_ENDPOINTS ? 10 : 1;
}

/** One listener for one upstream. */
export function meshResources(
  bench: Workbench,
  scenario: Scenario,
  port: number,
  backendPort: number,
  endpoints: number,
): NativeResource[] {
  const { certificate, key } = bench.certificate;
  const tls = { certificates: [{ certificate_file: certificate, key_file: key }] };
  return [
    { kind: 'Sidecar', metadata: { name: 'default' }, spec: { listeners: ['bench'] } },
    {
      kind: 'Listener',
      metadata: { name: 'bench' },
      spec: {
        address: '127.0.0.1',
        port,
        targets: [{ upstream: 'bench/origin', service_port: SERVICE_PORT }],
        ...(scenario.tls ? { tls } : {}),
      },
    },
    {
      kind: 'Upstream',
      metadata: { namespace: 'bench', name: 'origin' },
      spec: { scheme: schemeOf(scenario), ...policy(endpoints) },
    },
    {
      kind: 'Endpoints',
      metadata: { namespace: 'bench', name: `origin/${SERVICE_PORT}` },
      spec: {
        endpoints: Array.from({ length: endpoints }, (_, index) => ({
          address: loopbackAddress(index),
          port: backendPort,
        })),
      },
    },
  ];
}

/** The same upstream for the Admin API, with these nodes. */
export function adminUpstream(nodes: readonly string[]): object {
  return { ...policy(nodes.length), nodes: Object.fromEntries(nodes.map((node) => [node, 1])) };
}

function policy(endpoints: number): object {
  const interval = checkSeconds(endpoints);
  return {
    type: 'roundrobin',
    retries: RETRIES,
    checks: { active: { type: 'tcp', healthy: { interval }, unhealthy: { interval } }, passive: {} },
  };
}
