// `outrigger demo`, which is `npm start`: a control plane, six backends, a sidecar and light traffic, all over real
// sockets on loopback, with a fault planted in one backend of each kind. The table is fed by the admin service alone.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { createSidecar } from '../app.ts';
import { systemClock, type Cancel, type Clock } from '../base/clock.ts';
import type { CommandContext } from '../cli/command.ts';
import { UsageError } from '../cli/usage.ts';
import { createControlPlane } from '../controlplane/control-plane.ts';
import {
  AdminServiceClient,
  type EndpointStatus,
  type WatchEndpointsResponse,
} from '../gen/outrigger/admin/v1/admin.ts';
import { isFree } from '../net/listen.ts';
import { createLogger } from '../runtime/pino-logger.ts';
import type { HostPort } from '../config/host-port.ts';
import { parseDurationMs, resolveLogLevel, resolveSettings } from '../config/settings.ts';
import { startGrpcBackend, startHttpBackend, type Backend } from './backends.ts';
import { fooYaml, identityYaml, slicesYaml } from './configuration.ts';
import { makeIdentity, type DemoIdentity } from './identity.ts';
import { Scoreboard } from './scoreboard.ts';
import { drawTable } from './table.ts';
import { startGrpcTraffic, startHttpTraffic, type CallResult } from './traffic.ts';

const MIN_CALLS = 200;
const FAULT_DELAY_MS = 600;
const FAULT_MS = { bounded: 6_000, endless: 10_000 };
const FAULT_PERIOD_MS = 30_000;
const REDRAW_MS = 1_000;
const SUMMARY_MS = 5_000;

export async function demo(context: CommandContext): Promise<number> {
  const forText = context.flags['for'];
  const forMs = typeof forText === 'string' ? parseDurationMs(forText, '--for') : undefined;
  const fault = context.flags['fault'] ?? 'planted';
  if (fault !== 'planted' && fault !== 'none')
    throw new UsageError(`--fault: '${String(fault)}' is not planted or none`);
  const clock = systemClock();
  const quiet = context.flags['log-level'] === undefined;
  const logger = createLogger(quiet ? 'fatal' : resolveLogLevel(context.flags, context.environment));
  const out = context.out;
  const directory = await mkdtemp(join(tmpdir(), 'outrigger-demo-'));
  const cleanUp: (() => Promise<unknown>)[] = [() => rm(directory, { recursive: true, force: true })];
  try {
    const ports = new PortChooser(out);
    const httpPort = await ports.choose('http', 7000);
    const grpcPort = await ports.choose('grpc', 7001);
    const admin = await ports.choose('admin', 15000);
    const health = await ports.choose('health', 15021);
    const ads = await ports.choose('ADS', context.flags['tls'] === true ? 15012 : 15010);

    const secrets = await mkdtemp(join(tmpdir(), 'outrigger-demo-certs-'));
    cleanUp.unshift(() => rm(secrets, { recursive: true, force: true }));
    const identity = context.flags['tls'] === true ? await makeIdentity(secrets, context) : undefined;
    const backends: Backend[] = [];
    for (const name of ['http-1', 'http-2', 'http-3']) backends.push(await startHttpBackend(name, identity));
    for (const name of ['grpc-1', 'grpc-2', 'grpc-3']) backends.push(await startGrpcBackend(name, identity));
    await writeFile(join(directory, 'foo.yaml'), fooYaml(httpPort, grpcPort, identity !== undefined));
    if (identity) {
      await writeFile(join(directory, 'identity.yaml'), identityYaml(identity, [httpPort, grpcPort]), { mode: 0o600 });
    }
    await writeFile(join(directory, 'endpoints.yaml'), slicesYaml(backends));

    const controlPlane = createControlPlane({
      dirs: [directory],
      ads: loopback(ads),
      adsTls: identity && {
        certificateFile: identity.certificateFile,
        keyFile: identity.keyFile,
        clientCaFile: identity.caFile,
        bindNodeId: false,
      },
      clock,
      logger,
    });
    await controlPlane.start();
    cleanUp.unshift(() => controlPlane.stop());
    const settings = {
      ...resolveSettings({}, {}, undefined, '', []).settings,
      nodeId: 'demo',
      control: [loopback(ads)],
      controlTls: identity && {
        caFile: identity.caFile,
        certificateFile: identity.certificateFile,
        keyFile: identity.keyFile,
      },
      admin: loopback(admin),
      health: loopback(health),
      drainTimeoutMs: 2_000,
    };
    const sidecar = await createSidecar({ settings, logger, clock, onExitRequested: () => undefined });
    const { listeners } = await sidecar.start();
    cleanUp.unshift(() => sidecar.stop());
    // The ports were free a moment ago; who has one now would get the demo's traffic.
    const unbound = listeners.find(({ error }) => error !== undefined);
    if (unbound) throw new Error(`${unbound.name}: ${unbound.error}; start the demo again`);

    const board = new Scoreboard([httpPort, grpcPort]);
    for (const backend of backends) board.addBackend(backend.name, `127.0.0.1:${backend.port}`);
    const client = new AdminServiceClient(`127.0.0.1:${admin}`, credentials.createInsecure());
    const refresh = async (): Promise<void> => {
      for (const status of await listEndpoints(client)) board.onCounters(status);
    };
    const view = createView(context, board, clock, nextSteps(httpPort, grpcPort, admin, identity), refresh);
    const watch = client.watchEndpoints({ upstream: '', servicePort: 0 });
    watch.on('data', (message: WatchEndpointsResponse) => {
      const line = message.endpoint && board.onEndpoint(message.endpoint);
      if (line !== undefined) view.event(line);
    });
    watch.on('error', () => undefined);
    cleanUp.unshift(() => {
      watch.cancel();
      client.close();
      return Promise.resolve();
    });

    const onResult = (result: CallResult): void => {
      board.onCall(result, clock.nowMs);
      if (!result.ok) view.event(`${result.port} call failed: ${result.error}`);
    };
    const traffic = [
      startHttpTraffic(httpPort, clock, onResult, identity),
      startGrpcTraffic(grpcPort, clock, onResult, identity),
    ];
    const planted = backends.filter(({ name }) => name === 'http-3' || name === 'grpc-3');
    const stopFault =
      fault === 'planted' ? plantFault(planted, clock, forMs !== undefined, view.event) : () => undefined;

    await ended(context, clock, forMs);
    stopFault();
    await Promise.all(traffic.map((one) => one.stop()));
    view.stop();
    const attempts = await countAttempts(client);
    const summary = Object.fromEntries(
      [...board.ports].map(([port, { calls, ok, ejected, healed }]) => [
        port,
        { calls, ok, attempts: attempts.get(port) ?? 0, ejected, healed },
      ]),
    );
    out(JSON.stringify(summary) + '\n');
    if (forMs === undefined) return 0;
    const good = [...board.ports.values()].every(
      ({ calls, ok, ejected, healed }) => calls >= MIN_CALLS && ok === calls && ejected > 0 && healed > 0,
    );
    return good ? 0 : 1;
  } finally {
    for (const step of cleanUp) await step();
  }
}

function loopback(port: number): HostPort {
  return { host: '127.0.0.1', port };
}

/** Takes the usual port where it is free, else another, and says so. */
class PortChooser {
  private readonly out: (text: string) => void;
  private readonly taken = new Set<number>();

  constructor(out: (text: string) => void) {
    this.out = out;
  }

  async choose(what: string, usual: number): Promise<number> {
    for (let port = usual; port < usual + 1000; port++) {
      if (this.taken.has(port) || !(await isFree('127.0.0.1', port))) continue;
      this.taken.add(port);
      if (port !== usual) this.out(`port ${usual} (${what}) is taken: using ${port}\n`);
      return port;
    }
    throw new Error(`no free port from ${usual} on`);
  }
}

/** Resolves after `forMs`, or at Ctrl-C. */
function ended(context: CommandContext, clock: Clock, forMs: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    context.onSignal(resolve);
    if (forMs !== undefined) clock.after(forMs, resolve);
  });
}

/** Sends the planted backends away and brings them back: once with `--for`, else ten of every thirty seconds. */
function plantFault(
  planted: readonly Backend[],
  clock: Clock,
  bounded: boolean,
  event: (line: string) => void,
): Cancel {
  let cancel: Cancel = () => undefined;
  const leave = (): void => {
    const names = planted.map(({ name }) => name).join(' and ');
    event(`planted fault: ${names} go away`);
    const gone = Promise.all(planted.map((backend) => backend.leave()));
    cancel = clock.after(bounded ? FAULT_MS.bounded : FAULT_MS.endless, () => {
      void gone
        .then(() => Promise.all(planted.map((backend) => backend.comeBack())))
        .then(() => event(`planted fault over: ${names} are back`));
      if (!bounded) cancel = clock.after(FAULT_PERIOD_MS - FAULT_MS.endless, leave);
    });
  };
  cancel = clock.after(FAULT_DELAY_MS, leave);
  return () => cancel();
}

interface View {
  readonly event: (line: string) => void;
  readonly stop: () => void;
}

/** A table that redraws on a terminal, otherwise a line an event and a summary every five seconds. */
function createView(
  context: CommandContext,
  board: Scoreboard,
  clock: Clock,
  footer: readonly string[],
  refresh: () => Promise<void>,
): View {
  const startMs = clock.nowMs;
  const events: string[] = [];
  let cancel: Cancel = () => undefined;
  if (context.isTerminal) {
    const redraw = (): void => {
      const seconds = ((clock.nowMs - startMs) / 1000).toFixed(0);
      const below = [...footer, '', ...events.slice(-5)];
      context.out(drawTable(board, `outrigger demo   ${seconds} s   Ctrl-C ends it`, below, clock.nowMs));
      void refresh().catch(() => undefined); // for the next drawing
      cancel = clock.after(REDRAW_MS, redraw);
    };
    redraw();
  } else {
    context.out(footer.join('\n') + '\n');
    const summarize = (): void => {
      for (const [port, { calls, ok }] of board.ports) line(`${port} ${calls} calls, ${calls - ok} failed`);
      cancel = clock.after(SUMMARY_MS, summarize);
    };
    cancel = clock.after(SUMMARY_MS, summarize);
  }
  function line(text: string): void {
    const stamped = `${((clock.refresh() - startMs) / 1000).toFixed(1).padStart(5)}s  ${text}`;
    if (context.isTerminal) events.push(stamped);
    else context.out(stamped + '\n');
  }
  return { event: line, stop: () => cancel() };
}

function nextSteps(httpPort: number, grpcPort: number, admin: number, identity: DemoIdentity | undefined): string[] {
  const curl = identity
    ? `curl -i --cacert ${identity.caFile} --cert ${identity.certificateFile} --key ${identity.keyFile} https://localhost:${httpPort}/`
    : `curl -i http://127.0.0.1:${httpPort}/`;
  const tls = identity
    ? `-cacert ${identity.caFile} -cert ${identity.certificateFile} -key ${identity.keyFile}`
    : '-plaintext';
  return [
    `try   ${curl}`,
    `      curl -s http://127.0.0.1:${admin}/v1/healthcheck`,
    `      grpcurl -plaintext 127.0.0.1:${admin} outrigger.admin.v1.AdminService/ListEndpoints`,
    `      grpcurl ${tls} -import-path proto -proto outrigger/demo/v1/demo.proto -d '{"name":"you"}' 127.0.0.1:${grpcPort} outrigger.demo.v1.GreeterService/Greet`,
    `      npx buf curl --http2-prior-knowledge --protocol grpc --list-methods http://127.0.0.1:${admin}`,
  ];
}

/** Attempts by service port, as the sidecar counted them. */
async function countAttempts(client: AdminServiceClient): Promise<Map<number, number>> {
  const attempts = new Map<number, number>();
  for (const { servicePort, attempts: count } of await listEndpoints(client)) {
    attempts.set(servicePort, (attempts.get(servicePort) ?? 0) + Number(count));
  }
  return attempts;
}

function listEndpoints(client: AdminServiceClient): Promise<EndpointStatus[]> {
  return new Promise((resolve, reject) => {
    client.listEndpoints({ upstream: '', servicePort: 0, pageSize: 0, pageToken: '' }, (error, answer) =>
      error ? reject(error) : resolve(answer.endpoints),
    );
  });
}
