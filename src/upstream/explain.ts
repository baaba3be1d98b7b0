// Why a request would go where: the same picker, hash key and retry rules that carry calls, asked on a copy of the numbers
// that a pick moves, and told in words. Sends nothing and changes nothing.
import { canTake, shareOf, type LiveNumbers } from '../balance/balancer.ts';
import { keyHash as hashOfKey } from '../balance/crc32.ts';
import { TriedSlots } from '../balance/tried-slots.ts';
import type { ErrorKind } from '../base/error.ts';
import type { RequestHead } from '../codec/exchange.ts';
import { Cells, EndpointCell, PortCell } from '../model/cells.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import type { PortPolicy } from '../model/policy.ts';
import { failureClass } from '../policy/failure-class.ts';
import type { Cluster, ConnectionAddresses, GatewayCaller } from './cluster.ts';
import type { LiveEndpoint } from './endpoint.ts';
import { explainStandings, type EndpointStanding } from './explain-standings.ts';
import type { LeaseForecast } from './pool.ts';

/** Further attempts told of one by one. */
const MAX_STEPS = 10;
/** Attempts looked through for one that gets a connection. */
const MAX_FIRST_ATTEMPTS = 1000;

/** A request to be explained. */
export interface ExplainedCall {
  readonly head: RequestHead;
  readonly isGrpc: boolean;
  /** The caller's port is made up. */
  readonly connection: ConnectionAddresses;
  /** The listener has every address of its machine, and which of them was called is made up too. */
  readonly localAddressIsAssumed: boolean;
  /** What the gateway knows of it; undefined: it doesn't come to the gateway. */
  readonly caller: GatewayCaller | undefined;
}

/** Why the sidecar itself answers. */
export interface Refusal {
  readonly kind: ErrorKind;
  readonly detail: string;
}

/** What the port would do with it. */
export interface PickExplanation {
  readonly hashKey: string;
  readonly endpoints: readonly EndpointStanding[];
  /** How many endpoints there are beyond those. */
  readonly endpointsLeftOut: number;
  readonly pick: string;
  readonly pickReason: string;
  readonly onFailure: readonly string[];
  /** Empty: it would be sent. */
  readonly refused: ErrorKind | '';
  readonly refusedDetail: string;
}

/** Asks `cluster` where `call` would go. `refusal`: it is refused before an endpoint is picked. */
export function explainPick(
  cluster: Cluster,
  call: ExplainedCall,
  nowMs: number,
  refusal: Refusal | undefined,
): PickExplanation {
  const { head, connection } = call;
  const key = cluster.hashes ? cluster.findHashKey(head, connection, call.caller) : undefined;
  const keyHash = cluster.hashes ? hashOfKey(key ?? connection.remoteAddress) : 0;
  const walk = new Walk(cluster, nowMs, keyHash);
  const start = refusal ? { refusal } : firstAttempt(cluster, call, walk);
  const named = 'endpoint' in start ? [start.endpoint] : [];
  const reason = 'endpoint' in start ? pickReason(cluster, start) : '';
  const onFailure = 'endpoint' in start ? tellFailure(cluster, call, start, walk, named) : [];
  const why = 'endpoint' in start ? undefined : start.refusal;
  const { standings, leftOut } = explainStandings(cluster, named, walk.live, nowMs, keyHash);
  return {
    hashKey: cluster.hashes ? hashKeyInWords(cluster, call, key) : '',
    endpoints: standings,
    endpointsLeftOut: leftOut,
    pick: named[0]?.id ?? '',
    pickReason: reason,
    onFailure,
    refused: why?.kind ?? '',
    refusedDetail: why ? `${ERROR_TABLE[why.kind].text}: ${why.detail}` : '',
  };
}

/** The picks of one request, one after another. */
class Walk {
  /** The port's own numbers are copied, since picks move them; those of endpoints are only read. */
  readonly live: LiveNumbers;
  private readonly cluster: Cluster;
  private readonly tried = new TriedSlots();
  readonly nowMs: number;
  private readonly keyHash: number;

  constructor(cluster: Cluster, nowMs: number, keyHash: number) {
    this.cluster = cluster;
    this.nowMs = nowMs;
    this.keyHash = keyHash;
    const { endpoints, ports, portSlot } = cluster.live;
    const copy = new Cells();
    const slot = copy.allocate();
    copy.words.set(ports.words.subarray(ports.at(portSlot, 0), ports.at(portSlot + 1, 0)), copy.at(slot, 0));
    copy.add(slot, PortCell.InFlight, 1); // the request itself, as when a pick is made for it
    this.live = { endpoints, ports: copy, portSlot: slot };
  }

  next(): LiveEndpoint | undefined {
    return this.cluster.picker.choose(this.live, this.tried, this.nowMs, this.keyHash);
  }

  failed(endpoint: LiveEndpoint): void {
    if (!this.cluster.hasOneEndpoint) this.tried.add(endpoint.slot);
  }
}

/** The attempt that gets a connection, or may wait for one. */
interface Start {
  readonly endpoint: LiveEndpoint;
  /** Which attempt of the request it is, from 1. */
  readonly attempt: number;
  /** What came before, and what it waits for. */
  readonly remarks: readonly string[];
}

/** Nearly always the first. One that can't be connected to for reasons of our own may be followed by others. */
function firstAttempt(cluster: Cluster, call: ExplainedCall, walk: Walk): Start | { readonly refusal: Refusal } {
  const limit = Math.min(cluster.attemptLimit(), MAX_FIRST_ATTEMPTS);
  const remarks: string[] = [];
  let refusal: Refusal | undefined;
  for (let attempt = 1; ; attempt++) {
    const endpoint = walk.next();
    if (!endpoint) return { refusal: refusal ?? cluster.whyNone(false) };
    const forecast = foresee(cluster, call, endpoint);
    if (forecast?.kind === undefined) {
      if (forecast) remarks.push(`it waits for a connection: ${forecast.detail}`);
      return { endpoint, attempt, remarks };
    }
    refusal = { kind: forecast.kind, detail: forecast.detail };
    const isTriedAgain = failureClass(forecast.kind) !== undefined && cluster.retryRules.isOn('connect-failure');
    // A single endpoint would say the same again.
    if (!isTriedAgain || attempt >= limit || cluster.hasOneEndpoint || !cluster.breaker.retryRoom) return { refusal };
    remarks.push(`${endpoint.id} was before it: ${ERROR_TABLE[forecast.kind].text}: ${forecast.detail}`);
    walk.failed(endpoint);
  }
}

function foresee(cluster: Cluster, { head }: ExplainedCall, endpoint: LiveEndpoint): LeaseForecast | undefined {
  const host = cluster.hostFor(endpoint, head.authority);
  const idleElsewhere = !cluster.breaker.connectionRoom && hasIdle(cluster);
  return endpoint.pools.foresee(host, head.protocol !== '', idleElsewhere);
}

function hasIdle(cluster: Cluster): boolean {
  for (const { pools } of cluster.list()) for (const pool of pools.all()) if (pool.hasIdle) return true;
  return false;
}

/** The key, and what of the made-up connection is in it. */
function hashKeyInWords(cluster: Cluster, call: ExplainedCall, found: string | undefined): string {
  const { hashOn, key } = cluster.port.policy.balancer;
  const { head, connection } = call;
  const source = hashOn === 'consumer' ? 'consumer' : `${hashOn} ${key}`;
  if (found === undefined) return `${quote(connection.remoteAddress)} (remote_addr, since ${source} has no value)`;
  const assumed: string[] = [];
  const keyWith = (other: Partial<ConnectionAddresses>): string | undefined =>
    cluster.findHashKey(head, { ...connection, ...other }, call.caller);
  if (keyWith({ remotePort: connection.remotePort + 1 }) !== found) {
    assumed.push(`the caller's port ${connection.remotePort}, which is another for each connection`);
  }
  if (call.localAddressIsAssumed && keyWith({ localAddress: '' }) !== found) {
    assumed.push(`the address called, ${connection.localAddress}, since the listener has all`);
  }
  return `${quote(found)} (${source}${assumed.length > 0 ? `; assumed: ${assumed.join('; ')}` : ''})`;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A key, which is latin1, as the text that it is in UTF-8; of other bytes those beyond ASCII as `\xE9`. */
function quote(key: string): string {
  try {
    return JSON.stringify(UTF8.decode(Buffer.from(key, 'latin1')));
  } catch {
    const hex = (byte: string): string => `\\x${byte.charCodeAt(0).toString(16).toUpperCase()}`;
    return JSON.stringify(key).replace(/[\x80-\xff]/g, hex);
  }
}

function pickReason(cluster: Cluster, { endpoint, remarks }: Start): string {
  const { picker, hasOneEndpoint, port } = cluster;
  const { type } = port.policy.balancer;
  const reasons = [
    hasOneEndpoint ? `${type}: the only endpoint` : `${type}: ${howPicked(cluster, endpoint)}`,
    ...remarks,
  ];
  if (picker.ignoresHealth) reasons.push('health is ignored, since too few endpoints are available');
  return reasons.join('; ');
}

function howPicked(cluster: Cluster, endpoint: LiveEndpoint): string {
  const { type } = cluster.port.policy.balancer;
  switch (type) {
    case 'roundrobin': {
      const { endpoints: cells } = cluster.live;
      const anyFull = rivals(cluster, endpoint).some(({ slot }) => !canTake(cells, slot));
      return `next in the rotation${anyFull ? '; for one that has as many calls as it may another is drawn by chance' : ''}`;
    }
    case 'chash':
      return 'first on the ring from the hash of the key';
    case 'ewma':
      return 'the lower load of two drawn by chance; another draw may give another';
    case 'least_conn': {
      const equals = rivals(cluster, endpoint).filter((other) => isEqual(cluster, endpoint, other)).length;
      const drawn = `; ${equals + 1} are equal in that, and one of them is drawn by chance: another draw may give another`;
      return `fewest calls in flight for its weight${equals > 0 ? drawn : ''}`;
    }
  }
}

/** Those that may be picked beside it, in its level of priority. */
function rivals(cluster: Cluster, endpoint: LiveEndpoint): LiveEndpoint[] {
  return [...cluster.list()].filter(
    (other) => other !== endpoint && other.usable && other.spec.priority === endpoint.spec.priority,
  );
}

/** Whether `least_conn` can't tell them apart. */
function isEqual(cluster: Cluster, one: LiveEndpoint, other: LiveEndpoint): boolean {
  const { endpoints: cells } = cluster.live;
  const same = (word: number): boolean => cells.get(one.slot, word) === cells.get(other.slot, word);
  const rank = ({ slot, spec }: LiveEndpoint): number => spec.weight * shareOf(cells, slot);
  return canTake(cells, other.slot) && same(EndpointCell.InFlight) && rank(one) === rank(other);
}

/** What would follow if the attempt failed; the endpoints that would be tried are added to `named`. */
function tellFailure(
  cluster: Cluster,
  { head, isGrpc }: ExplainedCall,
  start: Start,
  walk: Walk,
  named: LiveEndpoint[],
): string[] {
  const { attempts, balancer } = cluster.port.policy;
  const limit = cluster.attemptLimit();
  const lines: string[] = [];
  if (limit <= 1) return ['no further attempt: 1 is all there are', lastWord(isGrpc)];
  const rules = cluster.retryRules;
  lines.push(`at most ${limit} attempts; tried again on ${attempts.retryOn.join(', ')}`);
  if (!rules.mayResend(head.method, head.path, isGrpc, 'failure')) {
    const onStatus = isGrpc && rules.watchesGrpcStatus && rules.mayResend(head.method, head.path, true, 'grpc-status');
    const what = isGrpc ? 'this gRPC method' : head.method;
    lines.push(
      `once something of the request was written, ${what} is tried again only if the server refused it${onStatus ? ', or on a gRPC status that retry_on names' : ''} (retry_methods)`,
    );
  }
  let failed = start.endpoint;
  for (let step = start.attempt + 1; step <= Math.min(limit, start.attempt + MAX_STEPS - 1); step++) {
    walk.failed(failed);
    const next = walk.next();
    if (!next) {
      lines.push(`attempt ${step}: no endpoint is left`);
      break;
    }
    lines.push(`attempt ${step}: ${next.id}${waitInWords(cluster, step)}`);
    named.push(next);
    failed = next;
  }
  if (named.length > 1 && rivalsLeft(cluster) > 1) lines.push(...drawnInWords(balancer.type));
  if (limit > start.attempt + MAX_STEPS - 1) lines.push(`and so on, up to attempt ${limit}`);
  if (attempts.retryTimeoutMs > 0) lines.push(`none starts later than ${attempts.retryTimeoutMs} ms after the first`);
  const { budget } = cluster;
  const { nowMs } = walk;
  lines.push(`the retry budget has ${budget.allowance(nowMs) - budget.spent(nowMs)} left`, lastWord(isGrpc));
  return lines;
}

/** Endpoints that may be picked once the first was tried. */
function rivalsLeft(cluster: Cluster): number {
  let count = -1;
  for (const { usable, outReason } of cluster.list()) if (usable && outReason !== 'weight_0') count++;
  return count;
}

function drawnInWords(type: PortPolicy['balancer']['type']): string[] {
  switch (type) {
    case 'roundrobin':
    case 'ewma':
      return ['whom a further attempt goes to is drawn by chance among those not tried: another draw may give another'];
    case 'least_conn':
      return ['of those that are equal one is drawn by chance: another draw may give another'];
    case 'chash':
      return [];
  }
}

function waitInWords(cluster: Cluster, step: number): string {
  const { initialMs, maxMs } = cluster.port.policy.attempts.backoff;
  if (initialMs === 0) return '';
  return `, after up to ${Math.min(maxMs, initialMs * 2 ** (step - 2))} ms`;
}

function lastWord(isGrpc: boolean): string {
  const seen = isGrpc ? 'UNAVAILABLE or DEADLINE_EXCEEDED' : '502 or 504';
  return `then the caller gets the last answer there was, or ${seen} with x-outrigger-reason`;
}
