// A control plane with an Admin API and a sidecar with a gateway, as a user starts them, and backends that say who they are.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpCall, type HttpAnswer } from './http-call.ts';
import { portOf, startProgram, type Program } from './program.ts';

/** The key that the documents print. */
export const DOCUMENT_KEY = 'edd1c9f034335f136f87ad84b625c8f1';

/** An HTTP server that answers with its port, and keeps what it was asked. */
export interface Backend {
  readonly port: number;
  /** Requests other than those to `/status`. */
  readonly requests: IncomingMessage[];
  /** How often `/status` was asked for. */
  statusCalls: number;
  /** What requests are answered with, and after what time. */
  status: number;
  delayMs: number;
  close(): void;
}

export async function startBackend(): Promise<Backend> {
  const server: Server = createServer((request, response) => {
    if (request.url === '/status') backend.statusCalls++;
    else backend.requests.push(request);
    request.resume();
    const answer = (): void =>
      void response.writeHead(backend.status, { 'content-type': 'text/plain' }).end(String(backend.port));
    if (backend.delayMs > 0) setTimeout(answer, backend.delayMs);
    else answer();
  });
  // Agrees to any upgrade, and says the port as the first bytes of the tunnel.
  server.on('upgrade', (_, socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n${backend.port}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const backend: Backend = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    requests: [],
    statusCalls: 0,
    status: 200,
    delayMs: 0,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return backend;
}

/** What runs. */
export interface GatewayScene {
  readonly control: Program;
  readonly sidecar: Program;
  readonly gatewayPort: number;
  readonly adminApiPort: number;
  readonly adsAddress: string;
  readonly storeDir: string;
  /** A call of the Admin API with the documents' key. */
  admin(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<AdminAnswer>;
  /** A call through the gateway. */
  call(path: string, options?: Parameters<typeof httpCall>[1]): Promise<HttpAnswer>;
  /** Starts another sidecar of the same control plane. */
  another(args?: readonly string[]): Promise<Program>;
  stop(): Promise<void>;
}

export interface AdminAnswer {
  readonly status: number;
  readonly headers: HttpAnswer['headers'];
  // oxlint-disable-next-line typescript/no-explicit-any -- JSON of many shapes
  readonly json: any;
}

/** Starts both; `controlArgs` and `runArgs` come on top. */
export async function startGatewayScene({
  controlArgs = [],
  runArgs = [],
}: { controlArgs?: readonly string[]; runArgs?: readonly string[] } = {}): Promise<GatewayScene> {
  const storeDir = mkdtempSync(join(tmpdir(), 'outrigger-store-'));
  const control = await startProgram([
    'control',
    ...['--ads', '0', '--admin-api', '0', '--admin-key', DOCUMENT_KEY, '--store', storeDir],
    ...controlArgs,
  ]);
  const adsAddress = control.ready.ads ?? '';
  const sidecars: Program[] = [];
  const another = async (args: readonly string[] = []): Promise<Program> => {
    const base = ['run', '--control', adsAddress, '--admin', '0', '--health', '0'];
    const sidecar = await startProgram([...base, '--gateway', '0', ...args]);
    sidecars.push(sidecar);
    return sidecar;
  };
  const sidecar = await another(runArgs);
  const adminApiPort = portOf(control.ready.adminApi);
  const gatewayPort = portOf(sidecar.ready.gateway);
  return {
    control,
    sidecar,
    gatewayPort,
    adminApiPort,
    adsAddress,
    storeDir,
    another,
    async admin(method, path, body, headers = {}) {
      const answer = await httpCall(adminApiPort, {
        method,
        path: `/apisix/admin${path}`,
        headers: { 'X-API-KEY': DOCUMENT_KEY, ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = answer.body.toString();
      return { status: answer.status, headers: answer.headers, json: text === '' ? undefined : JSON.parse(text) };
    },
    call: (path, options = {}) => httpCall(gatewayPort, { ...options, path }),
    async stop() {
      for (const one of sidecars) await one.stop();
      await control.stop();
      rmSync(storeDir, { recursive: true, force: true });
    },
  };
}

/** Runs a command line in bash; what it writes to stdout. */
export function shell(commandLine: string): Promise<string> {
  const child = spawn('bash', ['-c', commandLine], { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  return new Promise((resolve) => child.once('close', () => resolve(out)));
}
