// Five Pods are replaced one after the other under a steady load of GET, POST and unary gRPC calls. The control plane is the
// program's own and hears of the Pods as Kubernetes tells; the Pods are processes, and each writes down what it executes.
// OUTRIGGER_CALLS_PER_SECOND sets the load and OUTRIGGER_ROUNDS how often all five are replaced.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { adminClient, type AdminClient } from '../../support/admin-client.ts';
import { executions, LedgerEndpointProcess, type EndpointPorts } from '../../support/ledger-endpoint-process.ts';
import { OpenLoop } from '../../support/open-loop.ts';
import { cpuMs, hasProc } from '../../support/process-memory.ts';
import { portOf, startProgram, type Program } from '../../support/program.ts';
import { SERVICE_PORTS, ServiceFolder } from '../../support/service-folder.ts';

const PODS = 5;
const CALLS_PER_SECOND = Number(process.env['OUTRIGGER_CALLS_PER_SECOND'] ?? 300);
const ROUNDS = Number(process.env['OUTRIGGER_ROUNDS'] ?? 1);
/** From the execution of a call to its answer: what an ending Pod has in hand. */
const ANSWER_AFTER_MS = 20;
/** Calls that are made while a Pod is in each state, a fifth of a second's. */
const CALLS_BETWEEN = Math.ceil(CALLS_PER_SECOND / 5);

interface Pod extends EndpointPorts {
  readonly name: string;
  readonly process: LedgerEndpointProcess;
}

/** The control plane, the sidecar and the Pods. */
class Cluster {
  readonly pods: Pod[] = [];
  private readonly directory: string;
  private readonly folder: ServiceFolder;
  private control: Program | undefined = undefined;
  private sidecar: Program | undefined = undefined;
  private admin: AdminClient | undefined = undefined;
  private started = 0;

  /** `directory` exists, is empty, and goes when the cluster stops. */
  constructor(directory: string) {
    this.directory = directory;
    this.folder = new ServiceFolder(directory);
  }

  async start(): Promise<void> {
    await this.folder.create();
    await Promise.all(Array.from({ length: PODS }, () => this.startPod()));
    this.control = await startProgram(['control', '--dir', this.folder.watched, '--ads', '0']);
    this.sidecar = await startProgram([
      ...['run', '--control', this.control.ready.ads ?? '', '--admin', '0', '--health', '0'],
      ...['--listener-ports', 'ephemeral', '--log-level', 'warn'],
    ]);
    this.admin = adminClient(portOf(this.sidecar.ready.admin));
  }

  /** Ports of the sidecar. */
  get ports(): { http: number; grpc: number } {
    const listener = (port: number): number =>
      portOf(this.sidecar?.ready.listeners?.find(({ name }) => name === `outbound/${port}`)?.address);
    return { http: listener(SERVICE_PORTS.http), grpc: listener(SERVICE_PORTS.grpc) };
  }

  get sidecarCpuMs(): number {
    const pid = this.sidecar?.process.pid;
    return hasProc && pid !== undefined ? cpuMs(pid) : 0;
  }

  /** A new Pod; the sidecar hears of it once it listens. */
  async startPod(): Promise<Pod> {
    const name = `pod-${++this.started}`;
    const process = new LedgerEndpointProcess(join(this.directory, `${name}.ledger`), ANSWER_AFTER_MS);
    const pod = { name, process, ...(await process.open()) };
    this.pods.push(pod);
    await this.folder.putPod(name, pod, 'ready');
    return pod;
  }

  /** Kubernetes tells that the Pod ends. */
  async announceEnd(pod: Pod): Promise<void> {
    await this.folder.putPod(pod.name, pod, 'terminating');
  }

  /** The Pod is forgotten. */
  async forget(pod: Pod): Promise<void> {
    this.pods.splice(this.pods.indexOf(pod), 1);
    await this.folder.removePod(pod.name);
  }

  /** Waits until the sidecar shows the Pod, on both ports, in this state; undefined: not at all. */
  async untilShown(pod: Pod, state: string | undefined): Promise<void> {
    const wanted = state === undefined ? [] : [state, state];
    for (let i = 0; i < 1000; i++) {
      if ((await this.rowsOf(pod)).map((row) => row.state).join() === wanted.join()) return;
      await delay(10);
    }
    assert.fail(`${pod.name} is never ${state ?? 'gone'}\n${this.sidecar?.log()}\n${this.control?.log()}`);
  }

  /** Attempts that the sidecar has made at the Pod. */
  async attemptsAt(pod: Pod): Promise<number> {
    return (await this.rowsOf(pod)).reduce((sum, { attempts }) => sum + Number(attempts), 0);
  }

  private async rowsOf(pod: Pod): Promise<readonly { state: string; attempts: string }[]> {
    const list = await this.admin?.listEndpoints({});
    return (list?.endpoints ?? []).filter(({ port }) => port === pod.http || port === pod.grpc);
  }

  /** How often each call was executed, on all Pods there were. */
  async executions(): Promise<ReturnType<typeof executions>> {
    const paths = Array.from({ length: this.started }, (_, i) => join(this.directory, `pod-${i + 1}.ledger`));
    return executions((await Promise.all(paths.map((path) => readFile(path, 'latin1')))).join(''));
  }

  async stop(): Promise<void> {
    this.admin?.close();
    const statuses = [(await this.sidecar?.stop()) ?? 0, (await this.control?.stop()) ?? 0];
    await Promise.all(this.pods.map(({ process }) => process.stop()));
    await rm(this.directory, { recursive: true, force: true });
    assert.deepEqual(statuses, [0, 0], `${this.sidecar?.log()}\n${this.control?.log()}`);
  }
}

/** Replaces each Pod by `replace` under load, and gives what came of the calls. */
async function underLoad(
  t: TestContext,
  replace: (cluster: Cluster, pod: Pod, load: OpenLoop, index: number) => Promise<void>,
): Promise<{ load: OpenLoop; executed: ReturnType<typeof executions> }> {
  const cluster = new Cluster(await mkdtemp(join(tmpdir(), 'outrigger-rolling-')));
  let load: OpenLoop | undefined;
  try {
    await cluster.start();
    load = new OpenLoop(cluster.ports, CALLS_PER_SECOND);
    const cpuBeforeMs = cluster.sidecarCpuMs;
    await load.further(CALLS_BETWEEN);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, pod] of cluster.pods.slice().entries()) {
        await replace(cluster, pod, load, index);
        await load.further(CALLS_BETWEEN);
      }
    }
    await load.stop();
    const { records, failures, elapsedMs } = load;
    const cpu = (cluster.sidecarCpuMs - cpuBeforeMs) / elapsedMs;
    const figures = `${records.length} calls in ${(elapsedMs / 1000).toFixed(1)} s, ${failures.length} failed`;
    const slowest = Math.max(...records.map(({ durationMs }) => durationMs));
    t.diagnostic(`${figures}, slowest ${slowest.toFixed(0)} ms; sidecar ${(cpu * 100).toFixed(0)} % of a core`);
    return { load, executed: await cluster.executions() };
  } finally {
    await load?.stop();
    await cluster.stop();
  }
}

describe('a rolling restart under load', () => {
  it('of Pods that drain (Connection: close, GOAWAY) fails no call, and nothing is executed twice', async (t) => {
    const { load, executed } = await underLoad(t, async (cluster, pod, calls, index) => {
      const atOnce = index % 4 > 1;
      // Kubernetes tells the Pod and the control plane at the same time; either may hear it first.
      if (index % 2 === 0) {
        await cluster.announceEnd(pod);
        await cluster.untilShown(pod, 'draining');
        const attempts = await cluster.attemptsAt(pod);
        await calls.further(CALLS_BETWEEN);
        assert.equal(await cluster.attemptsAt(pod), attempts, 'a draining Pod gets no calls');
        await pod.process.drain(pod.id, { atOnce, holding: false });
      } else {
        await pod.process.drain(pod.id, { atOnce, holding: true });
        await calls.further(CALLS_BETWEEN);
        await cluster.announceEnd(pod);
        await cluster.untilShown(pod, 'draining');
      }
      await pod.process.leave(pod.id, true);
      await pod.process.stop();
      await calls.further(CALLS_BETWEEN);
      await cluster.forget(pod);
      await cluster.untilShown(pod, undefined);
      await cluster.untilShown(await cluster.startPod(), 'unchecked');
    });
    assert.deepEqual(load.failures, []);
    for (const { kind, id } of load.records) assert.equal(executed[kind].get(id), 1, `${kind} ${id}`);
  });

  it('with kill -9 fails no idempotent call, and executes no other one twice', async (t) => {
    const { load, executed } = await underLoad(t, async (cluster, pod, calls) => {
      assert.equal(await pod.process.crash(pod.id), 'SIGKILL');
      await calls.further(CALLS_BETWEEN);
      await cluster.forget(pod);
      await cluster.untilShown(pod, undefined);
      await cluster.untilShown(await cluster.startPod(), 'unchecked');
    });
    const failed = load.failures;
    assert.deepEqual(
      failed.filter(({ kind }) => kind === 'GET'),
      [],
    );
    for (const { kind, id, failure } of load.records) {
      const times = executed[kind].get(id) ?? 0;
      if (failure === '') assert.ok(times >= 1, `${kind} ${id} was answered, and executed nowhere`);
      if (kind !== 'GET') assert.ok(times <= 1, `${kind} ${id} was executed ${times} times`);
    }
    // Each Pod died with a call of each kind in hand: that of the GET was made again, the others were given up.
    const again = [...executed.GET.values()].filter((times) => times > 1).length;
    const lost = (kind: string): number => failed.filter((call) => call.kind === kind).length;
    t.diagnostic(`GET executed again ${again}; failed POST ${lost('POST')}, gRPC ${lost('gRPC')}`);
    for (const count of [again, lost('POST'), lost('gRPC')]) assert.ok(count >= PODS * ROUNDS, `${count}`);
    for (const { failure } of failed) assert.match(failure, /upstream_reset|grpc-status 14/);
  });
});
