// Why a request would go where: the same picker, hash key and retry rules that carry calls, asked on a copy of the numbers
// that a pick moves, and told in words. Sends nothing and changes nothing.
import { TriedSlots } from '../balance/tried-slots.ts';
import type { LiveNumbers } from '../balance/balancer.ts';
import { keyHash as hashOfKey } from '../balance/crc32.ts';
import type { RequestHead } from '../codec/exchange.ts';
import { healthStateName, HealthState } from '../health/machine.ts';
import { Cells, EndpointCell } from '../model/cells.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import type { PortPolicy } from '../model/policy.ts';
import type { ErrorKind } from '../base/error.ts';
import type { Cluster, ConnectionAddresses } from './cluster.ts';
import type { LiveEndpoint } from './endpoint.ts';

/** Endpoints told of; further ones are left out. */
const MAX_ENDPOINTS = 1000;
/** Further attempts told of one by one. */
const MAX_STEPS = 10;

/** A request to be explained. */
export interface ExplainedCall {
  readonly head: RequestHead;
  readonly isGrpc: boolean;
  readonly connection: ConnectionAddresses;
}

/** An endpoint as it stands for the request. */
export interface EndpointStanding {
  readonly endpoint: string;
  readonly host: string;
  readonly priority: number;
  readonly weight: number;
  readonly usable: boolean;
  readonly reason: string;
  readonly score: string;
}

/** What the port would do with it. */
export interface PickExplanation {
  readonly hashKey: string;
  readonly endpoints: readonly EndpointStanding[];
  readonly pick: string;
  readonly pickReason: string;
  readonly onFailure: readonly string[];
  /** Empty: it would be sent. */
  readonly refused: ErrorKind | '';
  readonly refusedDetail: string;
}

/** Asks `cluster` where `call` would go. */
export function explainPick(cluster: Cluster, call: ExplainedCall, nowMs: number): PickExplanation {
  const { policy } = cluster.port;
  const key = cluster.hashes ? cluster.findHashKey(call.head, call.connection) : undefined;
  const keyHash = cluster.hashes ? hashOfKey(key ?? call.connection.remoteAddress) : 0;
  const live = copyOf(cluster.live);
  const tried = new TriedSlots();
  const first = cluster.picker.choose(live, tried, nowMs, keyHash);
  const refusal = first ? undefined : cluster.whyNone(false);
  return {
    hashKey: cluster.hashes ? hashKeyInWords(policy, key, call.connection.remoteAddress) : '',
    endpoints: standings(cluster, nowMs, keyHash),
    pick: first?.id ?? '',
    pickReason: first ? pickReason(cluster, policy) : '',
    onFailure: first ? onFailure(cluster, call, first, live, tried, nowMs, keyHash) : [],
    refused: refusal?.kind ?? '',
    refusedDetail: refusal ? `${ERROR_TABLE[refusal.kind].text}: ${refusal.detail}` : '',
  };
}

/** The port's own numbers are copied, since picks move them; those of endpoints are only read. */
function copyOf({ endpoints, ports, portSlot }: LiveNumbers): LiveNumbers {
  const copy = new Cells();
  const slot = copy.allocate();
  copy.words.set(ports.words.subarray(ports.at(portSlot, 0), ports.at(portSlot + 1, 0)), copy.at(slot, 0));
  return { endpoints, ports: copy, portSlot: slot };
}

function hashKeyInWords({ balancer: { hashOn, key } }: PortPolicy, found: string | undefined, remote: string): string {
  const source = hashOn === 'consumer' ? 'consumer' : `${hashOn} ${key}`;
  const text = (value: string): string => JSON.stringify(value);
  return found === undefined
    ? `${text(remote)} (remote_addr, since ${source} has no value)`
    : `${text(found)} (${source})`;
}

function standings(cluster: Cluster, nowMs: number, keyHash: number): EndpointStanding[] {
  const scores = new Map<LiveEndpoint, string>();
  for (const { endpoint, score } of cluster.picker.standings(nowMs, keyHash)) {
    if (scores.size === MAX_ENDPOINTS) break;
    scores.set(endpoint, score);
  }
  const all = [...cluster.list()].sort(
    (a, b) => Number(scores.has(b)) - Number(scores.has(a)) || b.spec.priority - a.spec.priority,
  );
  return all.slice(0, MAX_ENDPOINTS).map((endpoint) => ({
    endpoint: endpoint.id,
    host: endpoint.spec.host,
    priority: endpoint.spec.priority,
    weight: endpoint.spec.weight,
    usable: endpoint.usable && endpoint.outReason === '',
    reason: reasonOf(cluster, endpoint),
    score: scores.get(endpoint) ?? '',
  }));
}

/** Why an endpoint is in or out. */
function reasonOf(cluster: Cluster, endpoint: LiveEndpoint): string {
  const cells = cluster.live.endpoints;
  const { outReason, cause, slot } = endpoint;
  const state = cells.get(slot, EndpointCell.HealthState);
  const because = cause === '' ? '' : `: ${cause}`;
  switch (outReason) {
    case 'ejected':
      return `ejected: ${endpoint.ejectionCause}, until ${new Date(endpoint.ejectedUntilWallMs).toISOString()}`;
    case 'unhealthy':
      return `${healthStateName(state)}${because}`;
    case 'weight_0':
      return 'weight 0';
    case 'lower_priority':
      return `priority ${endpoint.spec.priority}: endpoints of a higher one are available`;
    case 'draining':
      return 'draining';
    case '':
  }
  if (!endpoint.usable) return 'not in use';
  const cap = cells.get(slot, EndpointCell.Cap);
  const full = cap > 0 && cells.get(slot, EndpointCell.InFlight) >= cap ? `, ${cap} of ${cap} calls in flight` : '';
  if (state === HealthState.Trial) return `on trial: one call at a time${full}`;
  const share = cells.get(slot, EndpointCell.Share);
  const warm = share === 0 ? '' : `, ${Math.round((share * 100) / 65_536)} % warm`;
  const ignored = cluster.picker.ignoresHealth && !endpoint.available ? ', used since health is ignored now' : '';
  const known = cluster.port.policy.checks ? `${healthStateName(state)}${because}` : 'unchecked';
  return `${known}${warm}${full}${ignored}`;
}

function pickReason({ picker }: Cluster, { balancer }: PortPolicy): string {
  const how = {
    roundrobin: 'roundrobin: next in the rotation',
    chash: 'chash: first on the ring from the hash of the key',
    ewma: 'ewma: the lower load of two drawn by chance; another draw may give another',
    least_conn: 'least_conn: fewest calls in flight for its weight',
  }[balancer.type];
  return picker.ignoresHealth ? `${how}; health is ignored, since too few endpoints are available` : how;
}

function onFailure(
  cluster: Cluster,
  { head, isGrpc }: ExplainedCall,
  first: LiveEndpoint,
  live: LiveNumbers,
  tried: TriedSlots,
  nowMs: number,
  keyHash: number,
): string[] {
  const { attempts } = cluster.port.policy;
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
  let failed = first;
  for (let step = 2; step <= Math.min(limit, MAX_STEPS); step++) {
    if (!cluster.hasOneEndpoint) tried.add(failed.slot);
    const next = cluster.picker.choose(live, tried, nowMs, keyHash);
    if (!next) {
      lines.push(`attempt ${step}: no endpoint is left`);
      break;
    }
    lines.push(`attempt ${step}: ${next.id}${waitInWords(cluster, step)}`);
    failed = next;
  }
  if (limit > MAX_STEPS) lines.push(`and so on, up to attempt ${limit}`);
  if (attempts.retryTimeoutMs > 0) lines.push(`none starts later than ${attempts.retryTimeoutMs} ms after the first`);
  const { budget } = cluster;
  lines.push(`the retry budget has ${budget.allowance(nowMs) - budget.spent(nowMs)} left`, lastWord(isGrpc));
  return lines;
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
