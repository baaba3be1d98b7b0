// A sidecar with an HTTP and a gRPC port, whose endpoints a scripted control plane changes at will. All endpoints live in
// one other process. Over HTTP they are probed.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { adminClient, type AdminClient } from './admin-client.ts';
import { executions, LedgerEndpointProcess, type EndpointPorts } from './ledger-endpoint-process.ts';
import { portOf, startProgram, type Program } from './program.ts';
import { ScriptedAds, type ScriptedStream } from './scripted-ads.ts';
import { SERVICE_PORTS } from './service-folder.ts';

const UPSTREAM = 'default/app';
/** One failed probe is enough. */
const CHECKS = { active: { http_path: '/health', unhealthy: { http_failures: 1 } } };

/** What ListEndpoints says of an endpoint, as far as it is looked at here. */
export interface EndpointRow {
  readonly port: number;
  readonly state: string;
  readonly cause: string;
  readonly since: { readonly seconds: string; readonly nanos: number };
  readonly usable: boolean;
  readonly inFlight: number;
  readonly attempts: string;
  readonly successes: string;
  readonly failures: string;
  readonly latencyMs: number;
}

/** What is shown of each endpoint, by its port. */
export type Rows = ReadonlyMap<number, EndpointRow>;

/** The whole scene. */
export class ChurningPort {
  /** Endpoints that are configured. */
  current: readonly EndpointPorts[] = [];
  private readonly directory: string;
  private readonly endpoints: LedgerEndpointProcess;
  private readonly leaving: Promise<void>[] = [];
  private ads: ScriptedAds | undefined = undefined;
  private stream: ScriptedStream | undefined = undefined;
  private sidecar: Program | undefined = undefined;
  private admin: AdminClient | undefined = undefined;
  private versions = 0;

  private constructor(directory: string, answerAfterMs: number) {
    this.directory = directory;
    this.endpoints = new LedgerEndpointProcess(join(directory, 'ledger'), answerAfterMs);
  }

  /** Starts everything; `stop` is called on failure. */
  static async start(answerAfterMs: number): Promise<ChurningPort> {
    const scene = new ChurningPort(await mkdtemp(join(tmpdir(), 'outrigger-churn-')), answerAfterMs);
    try {
      await scene.startSidecar();
    } catch (error) {
      await scene.stop();
      throw error;
    }
    return scene;
  }

  /** Ports of the sidecar. */
  get ports(): { http: number; grpc: number } {
    const listener = (port: number): number =>
      portOf(this.sidecar?.ready.listeners?.find(({ name }) => name === `outbound/${port}`)?.address);
    return { http: listener(SERVICE_PORTS.http), grpc: listener(SERVICE_PORTS.grpc) };
  }

  /** Of the sidecar. */
  get pid(): number {
    return this.sidecar?.process.pid ?? 0;
  }

  /** An endpoint that nobody knows of yet. `healthStatus`: what its probes get. */
  open(healthStatus = 200): Promise<EndpointPorts> {
    return this.endpoints.open(healthStatus);
  }

  /** Gives the sidecar these endpoints, and the first listing that shows them. Those that are left out leave then. */
  async configure(endpoints: readonly EndpointPorts[]): Promise<{ http: Rows; grpc: Rows }> {
    const { stream } = this;
    assert.ok(stream);
    const gone = this.current.filter((one) => !endpoints.includes(one));
    this.current = endpoints;
    await stream.expectAck('Endpoints', this.push(stream));
    let shown = await this.list();
    for (let i = 0; !this.isCurrent(shown); i++) {
      assert.ok(i < 500, 'acknowledged, and never shown');
      await delay(2);
      shown = await this.list();
    }
    for (const { id } of gone) this.leaving.push(this.endpoints.leave(id, false));
    return shown;
  }

  /** Waits until the sidecar has closed every connection to those that left. */
  async allLeft(): Promise<void> {
    await Promise.all(this.leaving);
  }

  /** All endpoints as they are shown now, in one answer, by service port. */
  async list(): Promise<{ http: Rows; grpc: Rows }> {
    const list = await this.admin?.listEndpoints({});
    const rows = (list?.endpoints ?? []) as unknown as readonly (EndpointRow & { servicePort: number })[];
    const of = (servicePort: number): Rows =>
      new Map(rows.filter((row) => row.servicePort === servicePort).map((row) => [row.port, row]));
    return { http: of(SERVICE_PORTS.http), grpc: of(SERVICE_PORTS.grpc) };
  }

  /** How often each call was executed. */
  async executions(): Promise<ReturnType<typeof executions>> {
    return executions(await readFile(join(this.directory, 'ledger'), 'latin1'));
  }

  async stop(): Promise<void> {
    this.admin?.close();
    const status = await this.sidecar?.stop();
    this.ads?.kill();
    await this.endpoints.stop();
    await rm(this.directory, { recursive: true, force: true });
    assert.equal(status ?? 0, 0, this.sidecar?.log());
  }

  private isCurrent({ http, grpc }: { http: Rows; grpc: Rows }): boolean {
    const { current } = this;
    const isWhole = http.size === current.length && grpc.size === current.length;
    return isWhole && current.every((one) => http.has(one.http) && grpc.has(one.grpc));
  }

  private push(stream: ScriptedStream): string {
    const { current } = this;
    const version = String(++this.versions);
    const resource = (servicePort: number, portOfOne: (one: EndpointPorts) => number) => {
      const endpoints = current.map((one) => ({ address: '127.0.0.1', port: portOfOne(one) }));
      return { name: `${UPSTREAM}/${servicePort}`, version, message: { endpoints } };
    };
    return stream.push('Endpoints', [
      resource(SERVICE_PORTS.http, ({ http }) => http),
      resource(SERVICE_PORTS.grpc, ({ grpc }) => grpc),
    ]);
  }

  private async startSidecar(): Promise<void> {
    this.ads = await ScriptedAds.start();
    const starting = startProgram([
      ...['run', '--control', `127.0.0.1:${this.ads.port}`, '--admin', '0', '--health', '0'],
      ...['--listener-ports', 'ephemeral', '--log-level', 'warn'],
    ]);
    const stream = await this.ads.stream();
    this.stream = stream;
    const ports = Object.values(SERVICE_PORTS);
    await stream.expect('Sidecar');
    stream.push('Sidecar', [{ name: 'default', message: { listeners: ports.map((port) => `outbound/${port}`) } }]);
    await stream.expect('Listener');
    stream.push(
      'Listener',
      ports.map((port) => ({
        name: `outbound/${port}`,
        message: { port, targets: [{ upstream: UPSTREAM, service_port: port }] },
      })),
    );
    await stream.expect('Upstream');
    await stream.expect('Endpoints');
    const settings = [
      { port: SERVICE_PORTS.http, checks: CHECKS },
      { port: SERVICE_PORTS.grpc, scheme: 'grpc' },
    ];
    stream.push('Upstream', [{ name: UPSTREAM, message: { port_level_settings: settings } }]);
    this.push(stream);
    this.sidecar = await starting;
    this.admin = adminClient(portOf(this.sidecar.ready.admin));
  }
}
