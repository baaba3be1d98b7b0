// grpc-go's interoperability cases: first without the sidecar, then each that passed through it, over h2c, the same
// configured by a control plane, with TLS from the client, and through two sidecars with mTLS between them. What fails without the sidecar isn't held against it.
import { join } from 'node:path';
import { awaitPort, freePort } from '../../bench/await-ready.ts';
import { withMesh } from './mesh.ts';
import { lastLine, runTool } from './run-tool.ts';
import { listenTo, withSidecar, withTls } from './sidecar.ts';
import { allPass } from './suite.ts';
import type { Bench, Suite } from './suite.ts';
import { goVersion, missingTool, tool } from './tools.ts';

const CASE_MS = 60_000;
const SOAK_MS = 240_000;

/** Every case of the client that needs no cloud. */
const CASES = [
  ...['empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream'],
  ...['timeout_on_sleeping_server', 'cancel_after_begin', 'cancel_after_first_response'],
  ...['status_code_and_message', 'special_status_message', 'custom_metadata'],
  ...['unimplemented_method', 'unimplemented_service', 'pick_first_unary'],
  ...['orca_per_rpc', 'orca_oob', 'rpc_soak', 'channel_soak'],
] as const;

/** Reads the load reports that the server puts into trailers. */
const ORCA_POLICY = '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}';

/** Why a case can't pass without the sidecar either. */
const NEEDS_MORE: Readonly<Record<string, string>> = {
  pick_first_unary: 'grpc-go’s own server leaves out the server id that the case compares',
};

interface Topology {
  readonly name: string;
  readonly title: string;
  /** Whether the client speaks TLS. */
  readonly tls: boolean;
  /** Runs `use` with the port that the client calls. */
  with(bench: Bench, server: number, use: (port: number) => Promise<string[]>): Promise<string[]>;
}

const DIRECT: Topology = {
  name: 'direct',
  title: 'client → server',
  tls: false,
  with: (_bench, server, use) => use(server),
};

const TOPOLOGIES: readonly Topology[] = [
  {
    name: 'h2c',
    title: 'client → sidecar → server',
    tls: false,
    with: (bench, server, use) => withSidecar(bench, listenTo(server, 'grpc'), ({ ports: [port = 0] }) => use(port)),
  },
  {
    name: 'ADS',
    title: 'client → sidecar that a control plane configures → server',
    tls: false,
    with: (bench, server, use) => withMesh(bench, server, ({ ports: [port = 0] }) => use(port)),
  },
  {
    name: 'TLS',
    title: 'client → TLS → sidecar → server',
    tls: true,
    with: (bench, server, use) =>
      withSidecar(bench, listenTo(server, 'grpc', ...withTls(bench)), ({ ports: [port = 0] }) => use(port)),
  },
  {
    name: 'mTLS',
    title: 'client → sidecar → mTLS → sidecar → server',
    tls: false,
    with: (bench, server, use) => {
      const file = (name: string): string => join(bench.certificates, name);
      const inbound = listenTo(server, 'grpc', ...withTls(bench), '--tls-client-ca', file('ca.pem'));
      const own = ['--to-ca', file('ca.pem'), '--to-cert', file('client.pem'), '--to-key', file('client-key.pem')];
      return withSidecar(bench, inbound, ({ ports: [middle = 0] }) =>
        withSidecar(bench, listenTo(middle, 'grpcs', ...own), ({ ports: [port = 0] }) => use(port)),
      );
    },
  },
];

export const interopSuite: Suite = {
  name: 'interop',
  summary: 'cases of grpc-go over h2c, TLS, and mTLS between two sidecars, static and by a control plane',

  missing: () => missingTool('interop-client', 'interop-server'),

  run: async (bench) => {
    const server = await freePort();
    const child = await bench.children.start('others', tool('interop-server'), ['-port', String(server)]);
    try {
      await awaitPort(child, 'interop-server', server);
      const direct = await runTopology(bench, DIRECT, server, CASES);
      const held = CASES.filter((_, index) => direct[index] === '');
      const columns: string[][] = [direct.map(mark)];
      const failures: string[] = [];
      const figures = [];
      for (const topology of TOPOLOGIES) {
        const outcomes = await runTopology(bench, topology, server, held);
        const failed = held.flatMap((name, index) => {
          const why = outcomes[index] ?? '';
          return why === '' ? [] : [`${topology.name}: ${name} (${why})`];
        });
        failures.push(...failed);
        figures.push(allPass(topology.title, held.length - failed.length, held.length, 18));
        columns.push(CASES.map((name) => (held.includes(name) ? mark(outcomes[held.indexOf(name)] ?? '') : '–')));
      }
      return {
        tools: [goVersion('interop-client'), goVersion('interop-server')],
        figures,
        table: [
          ['case', DIRECT.name, ...TOPOLOGIES.map(({ name }) => name)],
          ...CASES.map((name, index) => [name, ...columns.map((column) => column[index] ?? '')]),
        ],
        failures,
        notes: [
          'Left out: cases that need cloud credentials, and cacheable_unary, which grpc-go’s client doesn’t have.',
          `Soaks: ${soakOf(bench, 'rpc_soak')} calls on one channel, ${soakOf(bench, 'channel_soak')} channels with one call each, of 271,828 bytes up and 314,159 down.`,
          ...CASES.filter((name) => !held.includes(name)).map(
            (name) => `${name} fails without the sidecar too${name in NEEDS_MORE ? `: ${NEEDS_MORE[name]}` : ''}.`,
          ),
        ],
      };
    } finally {
      await bench.children.stop(child);
    }
  },
};

function mark(why: string): string {
  return why === '' ? 'pass' : 'fail';
}

function soakOf({ quick }: Bench, name: string): number {
  if (quick) return 100;
  return name === 'rpc_soak' ? 2000 : 500;
}

/** Runs the cases one after the other; gives why each failed, empty where it passed. */
function runTopology(bench: Bench, topology: Topology, server: number, cases: readonly string[]): Promise<string[]> {
  return topology.with(bench, server, async (port) => {
    const outcomes: string[] = [];
    bench.progress(`${cases.length} cases, ${topology.title}`);
    for (const name of cases) {
      outcomes.push(await runCase(bench, topology, port, name));
    }
    return outcomes;
  });
}

async function runCase(bench: Bench, topology: Topology, port: number, name: string): Promise<string> {
  const args = ['-server_host', '127.0.0.1', '-server_port', String(port), '-test_case', name];
  if (topology.tls) {
    args.push('-use_tls', '-use_test_ca', '-ca_file', join(bench.certificates, 'ca.pem'));
    args.push('-server_host_override', 'localhost');
  }
  if (name.startsWith('orca_')) args.push('-service_config_json', ORCA_POLICY);
  const isSoak = name.endsWith('_soak');
  if (isSoak) {
    args.push('-soak_iterations', String(soakOf(bench, name)));
    args.push('-soak_overall_timeout_seconds', String(SOAK_MS / 1000));
    args.push('-soak_per_iteration_max_acceptable_latency_ms', '5000');
  }
  const { code, stderr } = await runTool(bench, tool('interop-client'), args, isSoak ? SOAK_MS + 10_000 : CASE_MS);
  if (code === 0) return '';
  if (code === undefined) return 'it did not end in time';
  return lastLine(stderr) || `status ${code}`;
}
