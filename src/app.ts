// The composition root of the sidecar: the one file that makes the parts and introduces them to each other. Districts
// that may not import each other meet here.
import { hostname } from 'node:os';
import { createAdminServer } from './admin/server.ts';
import { createHealthPort } from './admin/health-port.ts';
import type { ControlView, Readiness, ResourceView } from './admin/views.ts';
import type { Clock } from './base/clock.ts';
import { UPSTREAM_TLS_FAILURES, type ErrorKind } from './base/error.ts';
import type { Logger } from './base/log.ts';
import { RandomHex, secretBytes, systemRng } from './base/rng.ts';
import { TimerWheel } from './base/timer-wheel.ts';
import { DEFAULT_LIMITS } from './codec/limits.ts';
import { describeProblems, type Kind, type Resource, type Resources } from './config/resource.ts';
import { canonicalIp } from './base/ip-address.ts';
import { staticResources } from './config/static.ts';
import { treeSnapshot } from './config/tree-snapshot.ts';
import { wantedNames } from './config/tree.ts';
import { contentVersion } from './control/content-version.ts';
import { ConnectionQuota } from './downstream/connection-quota.ts';
import { Listener, type ListenerContext } from './downstream/listener.ts';
import type { Credentials } from './identity/credentials.ts';
import { watchExpiry } from './identity/expiry-watch.ts';
import { createCredentials } from './identity/live-credentials.ts';
import { ServerTls } from './identity/server-tls.ts';
import { Cells } from './model/cells.ts';
import { createLateResolver } from './discovery/late-resolver.ts';
import { createNameTable } from './discovery/name-table.ts';
import { activeNamesOf } from './discovery/port-endpoints.ts';
import { EMPTY_SNAPSHOT, type ListenerSpec, type Snapshot } from './model/snapshot.ts';
import { describeBindError } from './net/listen.ts';
import { accessRecord } from './proxy/access-record.ts';
import { createForwarding } from './proxy/forwarding.ts';
import { createRequestHandler, type ProxyContext } from './proxy/handle.ts';
import type { RequestRecord } from './proxy/record.ts';
import { descriptorLimit } from './runtime/descriptor-limit.ts';
import { LiveConfig } from './runtime/live-config.ts';
import { MergedSnapshot, ownListener } from './runtime/merged-snapshot.ts';
import type { HostPort } from './config/host-port.ts';
import { SettingsError, type Settings } from './config/settings.ts';
import { VERSION } from './runtime/version.ts';
import { explainRequest } from './sidecar-explain.ts';
import { loadSidecarParts } from './sidecar-parts.ts';
import { createSidecarView } from './sidecar-view.ts';
import { formatAccess } from './telemetry/access-log.ts';
import { CounterCell, Counters, LOCAL_REPLY_CELL, requestCell, responseCell } from './telemetry/counters.ts';
import { fdTarget, LineWriter } from './telemetry/line-writer.ts';
import { LogSampler } from './base/log-sampler.ts';
import { Cluster, type ClusterContext } from './upstream/cluster.ts';
import { endpointId } from './upstream/endpoint.ts';

/** How often idle upstream connections are looked at. */
const IDLE_SWEEP_MS = 1000;

/** How long a start waits for the first answers about DNS names. */
const FIRST_NAMES_MS = 5000;

/** How often failures of one kind, of one upstream port, are logged. */
const FAILURE_LOG = { count: 5, periodMs: 10_000 };

/** Refused connections and endpoints that somebody must do something about; the rest are logged as debug. */
const TOLD_FAILURES: ReadonlySet<ErrorKind> = new Set([
  'too_many_connections',
  'plaintext_to_tls',
  'tls_to_plaintext',
  'tls_handshake_failure',
  'client_certificate_refused',
  'secret_missing',
  ...UPSTREAM_TLS_FAILURES,
]);

/** What a sidecar is made of. */
export interface SidecarOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The admin service asked for a drain that ends the process. */
  readonly onExitRequested: () => void;
}

/** The line that goes to stdout once everything asked for is bound and the first configuration is applied. */
export interface ReadyLine {
  readonly ready: true;
  readonly listeners: readonly { readonly name: string; readonly address: string; readonly error?: string }[];
  readonly gateway?: string;
  readonly outbound?: string;
  readonly admin: string;
  readonly health: string;
}

/** A running sidecar. */
export interface Sidecar {
  /** Binds and serves. Rejects with one clear error where a port that was asked for by flag or file is taken. */
  start(): Promise<ReadyLine>;
  /** Takes no new work and lets calls in flight finish, for the drain timeout at most. False: some were cut. */
  drain(): Promise<boolean>;
  /** Closes everything. */
  stop(): Promise<void>;
}

/** Makes a sidecar of the parts that its settings need; nothing is bound before `start`. */
export async function createSidecar(options: SidecarOptions): Promise<Sidecar> {
  const { settings, logger, clock, onExitRequested } = options;
  const { control, gateway } = await loadSidecarParts(settings);
  const rng = systemRng();
  const wheel = new TimerWheel(clock);
  const counters = new Counters();
  const endpointCells = new Cells();
  const portCells = new Cells();
  const limits = DEFAULT_LIMITS;
  const quota = new ConnectionQuota(descriptorLimit(), limits.connectionShare);
  const credentials = createCredentials({ clock, logger });
  const stopExpiryWatch = watchExpiry({ credentials, clock, logger });
  const failureLog = new LogSampler(clock, FAILURE_LOG);
  const logFailure = (kind: ErrorKind, detail: string, fields: Record<string, unknown>, message: string): void => {
    const level = TOLD_FAILURES.has(kind) ? 'warn' : 'debug';
    if (!logger.isOn(level)) return;
    const leftOut = level === 'warn' ? failureLog.take(`${kind} ${String(fields['upstream'])}`) : 0;
    if (leftOut === undefined) return;
    logger.log(level, { ...fields, kind, detail, ...(leftOut > 0 ? { leftOut } : {}) }, message);
  };
  let drained: Promise<boolean> | undefined;

  // --- the request path ---
  const accessLog = settings.accessLog === 'off' ? undefined : new LineWriter(fdTarget(2), clock);
  const ids = new RandomHex(secretBytes);
  const proxyContext: ProxyContext = {
    clock,
    wheel,
    logger,
    rng,
    limits,
    ...createForwarding(`outrigger-${ids.take(8)}`, ids),
    onFinished: (record) => {
      countRequest(counters, record);
      if (accessLog) accessLog.write(formatAccess(settings.accessLog, accessRecord(record, clock.wallMs())) ?? '');
    },
  };
  const clusterContext: ClusterContext = {
    clock,
    wheel,
    rng,
    logger,
    limits,
    endpointCells,
    portCells,
    counters,
    credentials,
    hostname: hostname(),
    onNotes: (cluster, notes) => {
      for (const note of notes) logger.log('warn', { upstream: cluster.port.key }, note);
    },
    onConnectFailed: (cluster, endpoint, kind, detail) =>
      logFailure(kind, detail, { upstream: cluster.port.key, endpoint }, 'no connection to an endpoint'),
    onEndpointChange: (change, cluster, endpoint) => view.endpointChanged(change, cluster, endpoint),
  };
  const listenerContext: ListenerContext = {
    clock,
    wheel,
    logger,
    limits,
    counters,
    quota,
    onRefused: (kind: ErrorKind, detail, remoteAddress) => {
      counters.count(CounterCell.SessionRefused);
      counters.count(LOCAL_REPLY_CELL[kind]);
      logFailure(kind, detail, { remoteAddress }, 'request refused');
    },
  };
  const config = new LiveConfig({
    clock,
    rng,
    logger,
    bind: settings.bind,
    ephemeralPorts: settings.listenerPorts === 'ephemeral',
    createGateway:
      gateway &&
      ((clusters) => {
        const context = { clock, hostname: hostname(), carriesAdmin: settings.gatewayAdmin };
        return new gateway.LiveGatewayState(context, clusters);
      }),
    createCluster: (port) => new Cluster(port, clusterContext),
    createHandler: (route) => createRequestHandler(proxyContext, route),
    credentials,
    createTls: (spec) => createServerTls(spec, { credentials, clock, logger }),
    bindListener: (address, port, protocols, handle, tls) =>
      Listener.bind(address, port, protocols, handle, listenerContext, tls),
    describeBindError: (error, address, port) => describeBindError(error as NodeJS.ErrnoException, address, port),
  });

  const sweepIdle = (): void => {
    for (const cluster of config.clusters.values()) cluster.closeIdle();
    cancelSweep = clock.after(IDLE_SWEEP_MS, sweepIdle);
  };
  let cancelSweep = clock.after(IDLE_SWEEP_MS, sweepIdle);

  // --- configuration ---
  const fixed = staticConfiguration(settings, clock.wallMs());
  const gatewayIsOn = settings.gateway !== undefined;
  let dynamic: Snapshot = EMPTY_SNAPSHOT;
  let source: ControlView['source'] = '';
  let firstApplied: () => void = () => undefined;
  const applied = new Promise<void>((resolve) => {
    firstApplied = resolve;
  });
  let number = 0;
  const merge = new MergedSnapshot(fixed.snapshot);
  /** Of all sources, without the addresses of names. */
  let merged: Snapshot = EMPTY_SNAPSHOT;
  const resolver = createLateResolver({ canonicalIp });
  const names = createNameTable({
    clock,
    rng,
    logger,
    lookup: (query) => resolver.lookup(query),
    onChange: () => void applyNow(),
  });
  /** Puts the configuration in force, with the addresses that are known of its names. */
  const applyNow = (): Promise<void> => {
    const next = names.expand(merged, config.snapshot);
    return next === config.snapshot ? Promise.resolve() : config.apply(next);
  };
  const applyAll = async (from: ControlView['source']): Promise<void> => {
    merged = merge.take(dynamic, ++number);
    names.want(activeNamesOf(merged));
    await applyNow();
    // Static listeners serve at once, but a sidecar with a control plane is ready when that has spoken too.
    if (source === '' && (client === undefined || from !== 'static')) {
      // The first calls shouldn't find names that nobody has looked up yet.
      await Promise.race([names.settled(), new Promise<void>((resolve) => clock.after(FIRST_NAMES_MS, resolve))]);
      await applyNow();
      source = from;
      firstApplied();
    }
    view.readyChanged();
  };
  const client = control?.createXdsClient({
    servers: settings.control,
    flavour: settings.xds,
    node: { id: settings.nodeId, podIp: settings.podIp, services: settings.services, version: VERSION },
    stateDir: settings.stateDir,
    credentials: settings.controlTls && control.controlCredentials(settings.controlTls, credentials),
    clock,
    rng,
    logger,
    decode: control.decodeResource,
    wanted: (resources) => wantedNames(settings.nodeId, resources, gatewayIsOn),
    onUpdate: (resources, { source: from, owner, consumersAreKnown }) => {
      if (config.gateway) config.gateway.plugins.consumersAreKnown = consumersAreKnown;
      const next = control.buildSnapshot(settings.nodeId, resources, dynamic, {
        on: gatewayIsOn,
        isPossible: settings.xds === 'delta',
        controlHost: owner?.host,
      });
      if (next === dynamic) return;
      dynamic = next;
      void applyAll(from);
    },
  });

  const ready = (): Readiness => {
    if (drained) return { ready: false, reason: 'draining' };
    if (source === '') {
      const state = client?.status().state ?? 'none';
      return { ready: false, reason: `no configuration yet (control plane: ${state})` };
    }
    return { ready: true, reason: `serving configuration ${number} from ${source}` };
  };

  const view = createSidecarView({
    nodeId: settings.nodeId,
    counters,
    endpointCells,
    config,
    quota,
    control: () => ({
      ...(client?.status() ?? { address: '', state: 'none' as const, sinceWallMs: 0, lastError: '' }),
      source,
    }),
    resources: function* () {
      yield* fixed.views;
      if (client) yield* client.resourceViews();
    },
    certificates: () => credentials.list(),
    names: (port) => names.statuses(port.names),
    explain: (query, viewOf) => explainRequest(config, query, clock.nowMs, viewOf, limits),
    ready,
    drain: (exit) => {
      const active = config.active;
      void drain().then(() => exit && onExitRequested());
      return active;
    },
    setLogLevel: (level) => {
      const before = logger.level;
      logger.level = level;
      return before;
    },
  });
  const admin = createAdminServer({
    address: settings.admin.host,
    port: settings.admin.port,
    view,
    logger,
    clock,
  });
  const health = createHealthPort({ address: settings.health.host, port: settings.health.port, view, logger, clock });

  function drain(): Promise<boolean> {
    drained ??= Promise.race([
      config.drain().then(() => true),
      new Promise<boolean>((resolve) => {
        clock.after(settings.drainTimeoutMs, () => resolve(false));
      }),
    ]);
    view.readyChanged();
    return drained;
  }

  return {
    async start() {
      const adminAt = await bindOrExplain('admin', settings.admin, () => admin.start());
      const healthAt = await bindOrExplain('health', settings.health, () => health.start());
      if (fixed.snapshot !== EMPTY_SNAPSHOT) {
        await applyAll('static');
        const failed = [...config.listeners.values()].find(({ error }) => error !== '');
        if (failed) throw new Error(`--${failed.spec.role ?? 'listen'}: ${failed.error}`);
      }
      client?.start();
      if (client || fixed.snapshot !== EMPTY_SNAPSHOT) await applied;
      else logger.log('warn', {}, 'neither --control nor --listen: there is nothing to serve');
      const bound = [...config.listeners.values()].map((listener) => ({
        role: listener.spec.role,
        name: listener.spec.name,
        address: endpointId(listener.address, listener.port),
        error: listener.error,
      }));
      const [gateway, outbound] = (['gateway', 'outbound'] as const).map((role) =>
        bound.find((listener) => listener.role === role),
      );
      return {
        ready: true,
        listeners: bound
          .filter(({ role, error }) => role === undefined || error !== '')
          .map(({ name, address, error }) => (error === '' ? { name, address } : { name, address, error })),
        ...(gateway?.error === '' ? { gateway: gateway.address } : {}),
        ...(outbound?.error === '' ? { outbound: outbound.address } : {}),
        admin: adminAt,
        health: healthAt,
      };
    },
    drain,
    async stop() {
      cancelSweep();
      names.stop();
      resolver.stop();
      await client?.stop();
      config.destroy();
      stopExpiryWatch();
      credentials.stop();
      await Promise.all([admin.stop(500), health.stop(500), accessLog?.flush(500)]);
    },
  };
}

/** TLS of a listener: what ALPN offers follows from the versions that it accepts. */
function createServerTls(
  { name, tls, protocols }: ListenerSpec,
  shared: { readonly credentials: Credentials; readonly clock: Clock; readonly logger: Logger },
): ServerTls | undefined {
  if (!tls) return undefined;
  const alpn = { auto: ['h2', 'http/1.1'], http1: ['http/1.1'], http2: ['h2'] }[protocols];
  return new ServerTls(tls, { ...shared, usedBy: `Listener ${name}`, alpn });
}

/** Root of the static listeners; no node id, so that it can't be mistaken for one. */
const STATIC_ROOT = 'static';

interface StaticConfiguration {
  readonly snapshot: Snapshot;
  readonly views: readonly ResourceView[];
}

/** The listeners given by flags or the bootstrap file; those with targets as resources like any other. */
function staticConfiguration(settings: Settings, nowWallMs: number): StaticConfiguration {
  const own: ListenerSpec[] = [];
  if (settings.gateway) own.push(ownListener('gateway', settings.gateway));
  if (settings.outbound) own.push(ownListener('outbound', settings.outbound));
  const withTargets = staticListeners(settings, nowWallMs);
  if (own.length === 0) return withTargets;
  const { snapshot, views } = withTargets;
  const listeners = new Map([...own.map((spec) => [spec.name, spec] as const), ...snapshot.listeners]);
  return { snapshot: { ...snapshot, listeners }, views };
}

function staticListeners(settings: Settings, nowWallMs: number): StaticConfiguration {
  if (settings.listeners.length === 0) return { snapshot: EMPTY_SNAPSHOT, views: [] };
  const made = staticResources(settings.listeners, STATIC_ROOT);
  if (!made.ok) throw new SettingsError(describeProblems(made.problems));
  const byKey = new Map(made.resources.map((resource) => [`${resource.kind} ${resource.name}`, resource]));
  const resources: Resources = {
    // The key holds the kind, so the resource is of that kind.
    get: <K extends Kind>(kind: K, name: string) => byKey.get(`${kind} ${name}`) as Resource<K> | undefined,
    all: () => [],
  };
  const views = made.resources.map(({ kind, name, bytes, unknownFields }): ResourceView => ({
    kind,
    name,
    version: contentVersion(bytes),
    state: 'acked',
    error: '',
    refusedVersion: '',
    receivedWallMs: nowWallMs,
    appliedWallMs: nowWallMs,
    bytes,
    unknownFields,
  }));
  return { snapshot: treeSnapshot(STATIC_ROOT, resources, EMPTY_SNAPSHOT), views };
}

async function bindOrExplain(
  what: string,
  wanted: HostPort,
  bind: () => Promise<{ address: string; port: number }>,
): Promise<string> {
  try {
    const { address, port } = await bind();
    return endpointId(address, port);
  } catch (cause) {
    const reason = describeBindError(cause as NodeJS.ErrnoException, wanted.host, wanted.port);
    throw new Error(`--${what}: ${reason}; choose another with --${what} [HOST:]PORT`, { cause });
  }
}

function countRequest(counters: Counters, record: RequestRecord): void {
  counters.count(requestCell(record.head.version));
  if (record.status > 0) counters.count(responseCell(record.status));
  if (record.error !== undefined) counters.count(LOCAL_REPLY_CELL[record.error]);
  if (record.error === 'downstream_reset') counters.count(CounterCell.DownstreamResets);
  if (record.isGrpc) counters.count(record.grpcStatus === 0 ? CounterCell.GrpcOk : CounterCell.GrpcFailed);
  if (record.bytesReceived > 0) counters.add(CounterCell.DownstreamBytesReceived, record.bytesReceived % 0x8000_0000);
  if (record.bytesSent > 0) counters.add(CounterCell.DownstreamBytesSent, record.bytesSent % 0x8000_0000);
  if (record.status !== 101) record.cluster?.recordLatency(record.durationMs * 1000); // a tunnel lasts as it likes
  for (const { error } of record.attempts) {
    if (error === 'upstream_reset' || error === 'upstream_truncated') counters.count(CounterCell.UpstreamResets);
  }
}
