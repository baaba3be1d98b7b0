// grpcurl: the admin service by reflection, directly and carried by another sidecar, and the four kinds of call.
import { isDeepStrictEqual } from 'node:util';
import { GREETER, GREETER_PROTO, startGreeterBackend } from './greeter-backend.ts';
import { lastLine, runTool } from './run-tool.ts';
import { listenTo, withSidecar } from './sidecar.ts';
import { allPass } from './suite.ts';
import type { Bench, Suite } from './suite.ts';
import { goVersion, missingTool, tool } from './tools.ts';

const TIMEOUT_MS = 15_000;
const ADMIN = 'outrigger.admin.v1.AdminService';
const backend = 'greeter';

interface Call {
  readonly name: string;
  readonly method: string;
  readonly request: string;
  /** Messages of the answer. */
  readonly expected: readonly unknown[];
}

const CALLS: readonly Call[] = [
  { name: 'unary', method: 'Greet', request: '{"name":"Ada"}', expected: [{ message: 'hello Ada', backend }] },
  {
    name: 'server streaming',
    method: 'Count',
    request: '{"to":3}',
    expected: [1, 2, 3].map((number) => ({ number, backend })),
  },
  {
    name: 'client streaming',
    method: 'Join',
    request: '{"word":"a"}{"word":"b"}',
    expected: [{ line: 'a b', backend }],
  },
  {
    name: 'bidirectional',
    method: 'Chat',
    request: '{"text":"a"}{"text":"b"}',
    expected: ['a', 'b'].map((text) => ({ text, backend })),
  },
];

export const grpcurlSuite: Suite = {
  name: 'grpcurl',
  summary: 'reflection of the admin service, and the four kinds of call',

  missing: () => missingTool('grpcurl'),

  run: async (bench) => {
    const greeter = await startGreeterBackend();
    try {
      return await withSidecar(bench, listenTo(greeter.port, 'grpc'), ({ ports: [port = 0], admin }) =>
        withSidecar(bench, listenTo(admin, 'grpc'), async ({ ports: [carried = 0] }) => {
          const outcomes: [name: string, why: string][] = [];
          for (const [how, at] of Object.entries({ directly: admin, 'through a sidecar': carried })) {
            outcomes.push([`list ${how}`, await expectText(bench, [`127.0.0.1:${at}`, 'list'], ADMIN)]);
            const describe = [`127.0.0.1:${at}`, 'describe', ADMIN];
            outcomes.push([`describe ${how}`, await expectText(bench, describe, 'rpc ListEndpoints')]);
          }
          for (const call of CALLS) outcomes.push([call.name, await makeCall(bench, port, call)]);
          const failed = outcomes.filter(([, why]) => why !== '');
          return {
            tools: [goVersion('grpcurl')],
            figures: [allPass('commands', outcomes.length - failed.length, outcomes.length, 8)],
            table: [['command', ''], ...outcomes.map(([name, why]) => [name, why === '' ? 'pass' : 'fail'])],
            failures: failed.map(([name, why]) => `${name} (${why})`),
          };
        }),
      );
    } finally {
      await greeter.close();
    }
  },
};

async function expectText(bench: Bench, args: readonly string[], wanted: string): Promise<string> {
  const { code, stdout, stderr } = await runTool(bench, tool('grpcurl'), ['-plaintext', ...args], TIMEOUT_MS);
  if (code !== 0) return lastLine(stderr) || 'no answer in time';
  return stdout.includes(wanted) ? '' : `no ${wanted} in the answer`;
}

async function makeCall(bench: Bench, port: number, { method, request, expected }: Call): Promise<string> {
  const proto = ['-import-path', 'proto', '-proto', GREETER_PROTO];
  const args = ['-plaintext', ...proto, '-d', request, `127.0.0.1:${port}`, `${GREETER}/${method}`];
  const { code, stdout, stderr } = await runTool(bench, tool('grpcurl'), args, TIMEOUT_MS);
  if (code !== 0) return lastLine(stderr) || 'no answer in time';
  const got = readMessages(stdout);
  return isDeepStrictEqual(got, expected) ? '' : `answered ${JSON.stringify(got)}`;
}

/** Reads the messages that grpcurl prints one after the other. */
export function readMessages(text: string): unknown[] {
  const joined = text.trim().replaceAll(/\}\s*\{/g, '},{');
  return JSON.parse(`[${joined}]`) as unknown[];
}
