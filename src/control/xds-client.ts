// The driver of the xDS client: which control plane, when, and what of its answers is handed on. What a stream says is
// decided in subscription.ts, what is held in resource-store.ts, what may serve in warming.ts, whom to try in
// server-order.ts; here they are wired to time and to streams.
//
// A link (link.ts) is a stream with its session. The main link feeds the store in force, unless it goes to another
// server than the one that the store came from: then it is a candidate, and fills a copy of the store until that server
// has answered for the whole tree. Then the copy comes into force at once, so resources of two servers don't mix. While
// the main link runs on a later server of the list, a probe (a candidate beside it) tries the earlier ones every 30 s.
//
//   start ─► connecting ──► connected ──(candidate: whole tree answered)──► in force
//                 ▲             │ end
//                 └── waiting ◄─┘    (server-order.ts: who is next, and when)
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import type { Kind, Resources, WantedNames } from '../config/resource.ts';
import type { Moment } from './ads-session.ts';
import { AdsSession } from './ads-session.ts';
import type { NodeIdentity, OpenAdsStream, ServerAddress } from './ads-stream.ts';
import { adsStreamOpener, formatServer } from './ads-stream.ts';
import type { OnUpdate } from './configuration-in-force.ts';
import { ConfigurationInForce } from './configuration-in-force.ts';
import type { ControlStatus, ResourceStatusView } from './control-status.ts';
import { statusViews } from './control-status.ts';
import { DueTimer } from './due-timer.ts';
import type { CredentialsNow } from './link.ts';
import { Link } from './link.ts';
import { ParkedTypes } from './parked-types.ts';
import { exposureOf } from './plaintext.ts';
import type { ResourceEntry } from './resource-store.ts';
import { ServerOrder } from './server-order.ts';
import type { StateStore } from './state-store.ts';
import { createStateStore } from './state-store.ts';
import type { AdsRequest, Decode, DeliveredResponse, Flavour } from './subscription.ts';

/** Between tries of an earlier server, ms, ±20 %. */
const PROBE_MS = 30_000;
/** The first configuration is handed on whole, or as far as it is ready when nothing came for this long, ms. */
const FIRST_QUIET_MS = 2_000;

/** What the client works with. */
export interface XdsClientOptions {
  /** Tried in order; at least one. */
  readonly servers: readonly ServerAddress[];
  readonly flavour: Flavour;
  readonly node: NodeIdentity;
  /** Where the last good configuration is kept; undefined: nowhere. */
  readonly stateDir?: string | undefined;
  /**
   * Asked each time a stream is opened, so that a rotated certificate is used with the next one. While it says why there
   * are none, each try fails with that. Left out: plaintext.
   */
  readonly credentials?: (() => CredentialsNow) | undefined;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly decode: Decode;
  /** Names that the tree in `resources` wants. */
  readonly wanted: (resources: Resources) => WantedNames;
  readonly onUpdate: OnUpdate;
  /** Called when the stream's state changes. */
  readonly onState?: ((status: ControlStatus) => void) | undefined;
  /** Opens streams; grpc-js by default. */
  readonly openStream?: OpenAdsStream | undefined;
}

/** Keeps the configuration of this node up to date. */
export interface XdsClient {
  /** Hands on what was saved, and starts connecting. */
  start(): void;
  /** Closes the streams and saves what is to be saved. */
  stop(): Promise<void>;
  status(): ControlStatus;
  /** Everything held or asked for, by kind from the root on. */
  entries(): Iterable<ResourceEntry>;
  /** The same in the words of the admin service. */
  resourceViews(): Iterable<ResourceStatusView>;
}

/** A client for these options. Nothing happens before `start`. */
export function createXdsClient(options: XdsClientOptions): XdsClient {
  return new Driver(options);
}

class Driver implements XdsClient {
  private readonly options: XdsClientOptions;
  private readonly openStream: OpenAdsStream;
  private readonly stateStore: StateStore | undefined;
  private readonly order: ServerOrder;
  private readonly inForce: ConfigurationInForce;
  /** Something other than the content of resources changed: the tree must be walked. */
  private mustWalk = true;
  private lastResponseMs = 0;
  private main: Link | undefined = undefined;
  private probe: Link | undefined = undefined;
  private retryAtMs = Infinity;
  private probeAtMs = Infinity;
  private probeIndex = 0;
  private readonly parked = new ParkedTypes();
  private readonly timer: DueTimer;
  private stopped = true;
  private cancelFlush: Cancel | undefined = undefined;
  /** A response waits for the flush: what is sent meanwhile follows its answer. */
  private holdsRequests = false;
  private readonly heldRequests: (() => void)[] = [];
  private state: ControlStatus['state'] = 'waiting';
  private sinceWallMs: number;
  private lastError = '';

  constructor(options: XdsClientOptions) {
    this.options = options;
    const { flavour, node, servers, rng, clock, logger, stateDir } = options;
    this.openStream = options.openStream ?? adsStreamOpener(flavour, node);
    this.timer = new DueTimer(clock, () => this.onTimer());
    this.stateStore =
      stateDir === undefined ? undefined : createStateStore({ dir: stateDir, nodeId: node.id, clock, logger });
    const { wanted, onUpdate } = options;
    const { stateStore } = this;
    const context = { nodeId: node.id, flavour, servers, wanted, onUpdate, stateStore, logger };
    this.inForce = new ConfigurationInForce(context);
    this.order = new ServerOrder(servers.length, rng);
    this.sinceWallMs = clock.wallMs();
  }

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.options.clock.refresh();
    const saved = this.stateStore?.load();
    if (saved !== undefined) this.inForce.restore(saved, this.options.decode, this.at());
    this.connect();
    this.arm();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelFlush?.();
    this.cancelFlush = undefined;
    this.timer.set(Infinity);
    this.retryAtMs = this.probeAtMs = Infinity;
    this.main?.giveUp();
    this.probe?.giveUp();
    this.main = this.probe = undefined;
    await this.stateStore?.flush();
  }

  status(): ControlStatus {
    const server = this.options.servers[this.main?.index ?? this.order.index];
    const address = server === undefined ? '' : formatServer(server);
    return { address, state: this.state, sinceWallMs: this.sinceWallMs, lastError: this.lastError };
  }

  entries(): Iterable<ResourceEntry> {
    return this.inForce.store.entries();
  }

  resourceViews(): Iterable<ResourceStatusView> {
    return statusViews(this.inForce.store.entries());
  }

  // --- streams ---

  private at(): Moment {
    return { nowMs: this.options.clock.nowMs, wallMs: this.options.clock.wallMs() };
  }

  private connect(): void {
    this.retryAtMs = Infinity;
    this.setState('connecting');
    this.main = this.open(this.order.index);
    this.mustWalk = true;
    this.flush();
  }

  private open(index: number): Link | undefined {
    const { servers, flavour, decode, rng, clock, logger } = this.options;
    const server = servers[index];
    if (server === undefined) return undefined;
    const credentials = this.options.credentials?.();
    const exposure = typeof credentials === 'string' ? undefined : exposureOf(server, credentials);
    const { store } = this.inForce;
    const isOwn = store.owner === undefined || store.owner === formatServer(server);
    const parked = this.parked.at(index);
    const link: Link = new Link({ index, server, clock }, (sendNow) => {
      const send = (request: AdsRequest): void => {
        if (request.error !== '') {
          logger.log('warn', { control: link.address, error: request.error }, 'configuration refused');
        }
        if (this.holdsRequests) this.heldRequests.push(() => link.over || sendNow(request));
        else sendNow(request);
      };
      const onNotAsked = (kind: Kind, reason: string): void => {
        logger.log('warn', { control: link.address, kind, reason }, 'nothing of a type is asked for');
      };
      const context = { flavour, decode, rng, parked, exposure, send, onNotAsked };
      return new AdsSession(isOwn ? store : store.copyForAnotherServer(), context);
    });
    link.open(this.openStream, credentials, {
      onConnected: () => this.onConnected(link),
      onResponse: (response) => this.onResponse(link, response),
      onEnd: (error) => this.onEnd(link, error),
    });
    return link;
  }

  private onConnected(link: Link): void {
    if (link.over || link.connected) return;
    this.options.clock.refresh();
    link.onConnected(this.options.servers.length > 1 && this.isAwaited(link));
    link.session.onConnected(this.at());
    const { store } = this.inForce;
    // It may stand by what was saved without another word.
    if (link.session.store === store && store.owner === link.address) this.inForce.cameFrom(link.address);
    if (this.inForce.awaitsStream) this.mustWalk = true;
    if (this.inForce.hasNews || this.inForce.awaitsStream) this.scheduleFlush();
    if (link === this.main) {
      this.setState('connected');
      this.options.logger.log('info', { control: link.address }, 'connected to the control plane');
    }
    this.arm();
  }

  /** Whether an answer must come: this server gave us nothing yet. A server that gave us everything may be silent. */
  private isAwaited({ session }: Link): boolean {
    return session.store !== this.inForce.store || !this.inForce.hasContent;
  }

  private onResponse(link: Link, response: DeliveredResponse): void {
    if (link.over) return;
    this.onConnected(link);
    const { clock, logger } = this.options;
    clock.refresh();
    const { dropped } = link.session;
    // An ACK says that the resource is in force: it goes out after the flush.
    this.holdsRequests = true;
    this.scheduleFlush();
    link.session.onResponse(response, this.at());
    if (link.session.dropped > dropped) {
      logger.log('debug', { control: link.address, typeUrl: response.typeUrl }, 'response of a type not asked for');
      return;
    }
    link.deadlineMs = Infinity;
    this.lastResponseMs = clock.nowMs;
    if (link === this.main) this.order.answered();
    if (link.session.store === this.inForce.store) this.inForce.cameFrom(link.address);
    for (const kind of link.session.optionalAnswered) this.parked.answered(link.index, kind);
  }

  private onEnd(link: Link, error: string): void {
    if (link.over) return;
    link.giveUp();
    const { clock, logger } = this.options;
    clock.refresh();
    this.blameOptional(link, error);
    if (link === this.probe) {
      this.probe = undefined;
      if (++this.probeIndex < (this.main?.index ?? 0)) this.startProbe();
      else this.scheduleProbe();
      this.arm();
      return;
    }
    if (link !== this.main) return;
    this.lastError = error;
    const answered = link.session.responded && link.session.store === this.inForce.store;
    this.main = this.probe;
    this.probe = undefined;
    if (this.main !== undefined) {
      // The one that was tried beside it takes over, whatever becomes of it.
      this.order.index = this.main.index;
      this.probeAtMs = Infinity;
      this.setState(this.main.connected ? 'connected' : 'connecting');
    } else {
      const delayMs = answered ? this.order.ended(clock.nowMs - link.openedMs) : this.order.failed();
      this.retryAtMs = clock.nowMs + delayMs;
      this.probeAtMs = Infinity;
      this.setState('waiting');
    }
    const level = answered ? 'info' : 'warn';
    logger.log(level, { control: link.address, error }, 'the stream to the control plane ended');
    // What the stream brought may not have been looked at yet.
    this.mustWalk = true;
    this.scheduleFlush();
    this.arm();
  }

  /** Some servers end the stream when asked for a type that they don't know. */
  private blameOptional({ session, index, address, connected }: Link, error: string): void {
    const { clock, logger } = this.options;
    const unanswered = new Map<Kind, number>();
    for (const [kind, askedMs] of session.optionalAskedMs) unanswered.set(kind, clock.nowMs - askedMs);
    const kinds = this.parked.ended(index, { connected, unanswered, error });
    if (kinds.length === 0) return;
    const message = 'types are not asked for any more: the control plane ends the stream';
    logger.log('warn', { control: address, kinds: kinds.join(', ') }, message);
  }

  private scheduleProbe(): void {
    if (this.probeAtMs < Infinity || this.probe !== undefined || (this.main?.index ?? 0) === 0) return;
    this.probeIndex = 0;
    this.probeAtMs = this.options.clock.nowMs + PROBE_MS * (0.8 + 0.4 * this.options.rng.unit());
  }

  private startProbe(): void {
    this.probeAtMs = Infinity;
    this.probe = this.open(this.probeIndex);
    this.scheduleFlush();
  }

  // --- what is in force ---

  private scheduleFlush(): void {
    if (this.stopped) return;
    this.cancelFlush ??= this.options.clock.after(0, () => {
      this.cancelFlush = undefined;
      this.options.clock.refresh();
      this.flush();
      this.releaseRequests();
      this.arm();
    });
  }

  private releaseRequests(): void {
    this.holdsRequests = false;
    for (const send of this.heldRequests.splice(0)) send();
  }

  /** Brings wishes, the store in force and what is handed on into line with what came. */
  private flush(): void {
    const { main, probe, inForce } = this;
    const changes = main?.session.takeChanges();
    const candidates = [main, probe].filter((link) => link !== undefined && link.session.store !== inForce.store);
    const isDue = this.options.clock.nowMs >= inForce.walkDueMs;
    const isOpen = candidates.length > 0 || !inForce.handedOn || inForce.hasNews;
    const walk = this.mustWalk || isDue || changes?.settled === true || isOpen;
    if (!walk && (changes === undefined || changes.content.length === 0)) return;
    if (!walk && changes !== undefined && inForce.updateInPlace(changes.content, main?.session, this.at())) return;
    this.mustWalk = false;
    for (const link of candidates) {
      if (link === undefined) continue;
      link.session.want(inForce.wantedOf(link.session.store), this.at());
      if (link.session.responded && inForce.isAnswered(link.session.store)) this.promote(link);
    }
    const session = this.main?.session;
    const own = session?.store === inForce.store ? session : undefined;
    inForce.update(own, this.options.clock.nowMs >= this.lastResponseMs + FIRST_QUIET_MS, this.at());
    if (own?.responded === true) this.scheduleProbe();
  }

  private promote(link: Link): void {
    this.inForce.store = link.session.store;
    this.inForce.cameFrom(link.address);
    if (link !== this.probe) return;
    const { main } = this;
    this.main = link;
    this.probe = undefined;
    this.order.index = link.index;
    this.order.answered();
    main?.giveUp();
    this.setState('connected', true);
    this.options.logger.log('info', { control: link.address }, 'back at an earlier control plane');
  }

  // --- time ---

  private get nextDueMs(): number {
    let next = Math.min(this.retryAtMs, this.probeAtMs, this.inForce.store.nextExpiryMs, this.inForce.walkDueMs);
    for (const link of [this.main, this.probe]) {
      if (link === undefined) continue;
      next = Math.min(next, link.deadlineMs, link.session.nextDueMs, link.session.store.nextExpiryMs);
    }
    if (!this.inForce.handedOn && this.main?.session.responded === true && this.inForce.hasTree) {
      // Handing on may have been put off; afterwards `handedOn` is set, or only a response can change the matter.
      const quietMs = this.lastResponseMs + FIRST_QUIET_MS;
      if (quietMs > this.options.clock.nowMs) next = Math.min(next, quietMs);
    }
    return next;
  }

  private arm(): void {
    if (this.stopped) return;
    this.timer.set(this.nextDueMs);
  }

  private onTimer(): void {
    const { clock } = this.options;
    clock.refresh();
    const at = this.at();
    const links = [this.main, this.probe].filter((link) => link !== undefined);
    for (const store of new Set([this.inForce.store, ...links.map(({ session }) => session.store)])) {
      const expired = store.expire(at.nowMs);
      if (expired.length > 0) this.mustWalk = true;
      for (const { session } of links) if (session.store === store) session.onExpired(expired, at);
    }
    for (const link of links) {
      link.session.onDue(at);
      if (at.nowMs >= link.deadlineMs) this.onEnd(link, link.overdue);
    }
    if (at.nowMs >= this.retryAtMs) this.connect();
    if (at.nowMs >= this.probeAtMs) this.startProbe();
    this.flush();
    this.arm();
  }

  private setState(state: ControlStatus['state'], isNewServer = false): void {
    if (this.state === state && !isNewServer) return;
    this.state = state;
    this.sinceWallMs = this.options.clock.wallMs();
    this.options.onState?.(this.status());
  }
}
