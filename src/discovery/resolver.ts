// One look-up of a name: the hosts file, else DNS under each name that the search list makes of it.
//
//   hosts file ─found──► answer
//       │ no
//   for each candidate: [kind `service`: SRV, then its targets] ─none─► A and AAAA together
//       │ records ──► answer (a family or target that failed is a gap of it)
//       │ no such name, no records ──► next candidate
//       │ SERVFAIL ──► next candidate, but failure where the answer before came from this one
//       │ no answer at all, or a bad one ──► failure
//   none left ──► failure
//
// SERVFAIL goes on as in the C library: one broken domain in the search list must not hide every name. But a name must
// never begin to mean another one because its own server is ill.
import type { Answer, Gap, LookupResult } from './answer.ts';
import { byCodeUnits, compareRecords } from './answer.ts';
import { createDnsClient, type AddressRecord, type DnsClient, type Reply, type SrvRecord } from './dns-client.ts';
import { withoutFinalDot } from './final-dot.ts';
import { parseHosts, staticAddresses, type CanonicalIp } from './hosts-file.ts';
import { candidatesOf, parseResolvConf, type ResolvConf } from './resolv-conf.ts';
import { watchedFile } from './watched-file.ts';

/** What to look up. */
export interface LookupQuery {
  /** `service`: SRV records first. */
  readonly kind: 'addresses' | 'service';
  /** Lower case; with a final dot the search list isn't used. */
  readonly name: string;
  /** The answer in use. */
  readonly previous: Answer | undefined;
}

/** Looks names up. */
export interface NameResolver {
  /** Never rejects. */
  lookup(query: LookupQuery): Promise<LookupResult>;
  /** Ends what is in flight, as failures. */
  stop(): void;
}

/** What a resolver is made with. */
export interface NameResolverOptions {
  /** Gives an IP address its one spelling. */
  readonly canonicalIp: CanonicalIp;
  /** `IP` or `IP:PORT`; undefined: those of resolv.conf. */
  readonly servers?: readonly string[] | undefined;
  readonly hostsPath?: string;
  readonly resolvConfPath?: string;
  /** Where resolv.conf doesn't say. Default 2,000 ms, doubled with each try: 2 tries of one silent server last 6 s. */
  readonly timeoutMs?: number;
  /** Where resolv.conf doesn't say. Default 2. */
  readonly tries?: number;
  /** For tests. */
  readonly createClient?: typeof createDnsClient;
}

/** Time to live of what the hosts file says, ms. */
export const HOSTS_TTL_MS = 5_000;
/**
 * Node doesn't tell the time to live of SRV records; that of the targets' addresses stands for it within these bounds,
 * ms.
 */
export const SERVICE_TTL_MS = { min: 5_000, max: 30_000 } as const;
/** An answer with a gap is asked for again after this at most, ms. */
const GAP_TTL_MS = 30_000;
/** Targets of one service that are looked up at the same time. */
const MAX_TARGETS_AT_ONCE = 8;

/** What came of one full name. */
type Found =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'none' | 'no_name' }
  | { readonly kind: 'failed'; readonly isServerFault: boolean; readonly reason: string };

/** Addresses of one host with what is missing of them. */
interface HostAddresses {
  readonly addresses: readonly string[];
  readonly gaps: readonly Gap[];
  readonly ttlMs: number;
}

/** A resolver by the machine's files and servers. */
export function createNameResolver(options: NameResolverOptions): NameResolver {
  const { canonicalIp, servers, timeoutMs = 2_000, tries = 2 } = options;
  const { createClient = createDnsClient } = options;
  const hosts = watchedFile(options.hostsPath ?? '/etc/hosts', (text) => parseHosts(text, canonicalIp));
  const conf = watchedFile(options.resolvConfPath ?? '/etc/resolv.conf', parseResolvConf);
  let client: DnsClient | undefined;
  let clientConf: ResolvConf | undefined;

  /** c-ares reads the servers once, so a changed file makes a new client; the one before it finishes its questions. */
  function clientFor(current: ResolvConf): DnsClient {
    if (client && clientConf === current) return client;
    clientConf = current;
    client = createClient({
      servers,
      timeoutMs: current.timeoutMs ?? timeoutMs,
      tries: current.tries ?? tries,
    });
    return client;
  }

  async function lookup({ kind, name: written, previous }: LookupQuery): Promise<LookupResult> {
    const name = withoutFinalDot(written);
    const fixed = canonicalIp(name);
    const known = fixed === undefined ? staticAddresses(hosts(), name) : [fixed];
    if (known) return { answer: addressAnswer(name, { ...NOTHING, addresses: inOrder(known), ttlMs: HOSTS_TTL_MS }) };
    const current = conf();
    const dns = clientFor(current);
    let failure: string | undefined;
    let exists = false;
    for (const candidate of candidatesOf(written, current)) {
      const found = kind === 'service' ? await findService(dns, candidate) : await findAddresses(dns, candidate);
      if (found.kind === 'answer') return { answer: found.answer };
      if (found.kind === 'none') exists = true;
      if (found.kind !== 'failed') continue;
      failure = candidate === name ? found.reason : `${candidate}: ${found.reason}`;
      if (!found.isServerFault || previous?.foundAs === candidate) break;
    }
    failure ??= exists
      ? `no ${kind === 'service' ? 'SRV, A or AAAA' : 'A or AAAA'} records`
      : 'no such name (NXDOMAIN)';
    return { failure };
  }

  async function findAddresses(dns: DnsClient, name: string): Promise<Found> {
    const host = await addressesOf(dns, name);
    return 'kind' in host ? host : { kind: 'answer', answer: addressAnswer(name, host) };
  }

  async function findService(dns: DnsClient, name: string): Promise<Found> {
    const srv = await dns.srv(name);
    // A server that doesn't know the type has no such records.
    if (srv.kind === 'failed' && srv.code !== 'ENOTIMP' && srv.code !== 'EFORMERR') return srv;
    if (srv.kind !== 'records') return findAddresses(dns, name);
    const records = srv.records.filter(({ target }) => target !== '').sort(compareRecords);
    if (records.length === 0) {
      return { kind: 'failed', isServerFault: true, reason: 'the service is declared absent (SRV target ".")' };
    }
    const hosts = await addressesOfAll(dns, [...new Set(records.map(({ target }) => target))]);
    const answer = serviceAnswer(name, records, hosts);
    if (answer.addresses.size > 0) return { kind: 'answer', answer };
    const [gap] = answer.gaps;
    return { kind: 'failed', isServerFault: true, reason: `SRV target ${gap?.host}: ${gap?.reason}` };
  }

  /** Of each target; targets are full names. */
  async function addressesOfAll(
    dns: DnsClient,
    targets: readonly string[],
  ): Promise<ReadonlyMap<string, HostAddresses>> {
    const hosts = new Map<string, HostAddresses>();
    let next = 0;
    const work = async (): Promise<void> => {
      for (let target = targets[next++]; target !== undefined; target = targets[next++]) {
        hosts.set(target, await addressesOfTarget(dns, target));
      }
    };
    await Promise.all(Array.from({ length: MAX_TARGETS_AT_ONCE }, work));
    return hosts;
  }

  async function addressesOfTarget(dns: DnsClient, target: string): Promise<HostAddresses> {
    const known = staticAddresses(hosts(), target);
    if (known) return { ...NOTHING, addresses: inOrder(known), ttlMs: HOSTS_TTL_MS };
    const host = await addressesOf(dns, target);
    if (!('kind' in host)) return host;
    const reason =
      host.kind === 'failed' ? host.reason : host.kind === 'none' ? 'no A or AAAA records' : 'no such name (NXDOMAIN)';
    return { ...NOTHING, gaps: [{ host: target, family: undefined, reason }] };
  }

  /** Both families at once. */
  async function addressesOf(
    dns: DnsClient,
    name: string,
  ): Promise<HostAddresses | Exclude<Found, { readonly kind: 'answer' }>> {
    const [a, aaaa] = await Promise.all([dns.a(name), dns.aaaa(name)]);
    if (a.kind !== 'records' && aaaa.kind !== 'records') {
      const failures = [a, aaaa].filter((reply) => reply.kind === 'failed');
      const worst = failures.find(({ isServerFault }) => !isServerFault) ?? failures[0];
      return worst ?? { kind: a.kind === 'none' || aaaa.kind === 'none' ? 'none' : 'no_name' };
    }
    const records = [...recordsOf(a), ...recordsOf(aaaa)];
    const addresses = inOrder(records.map(({ address }) => canonicalIp(address) ?? address));
    const gaps = [...gapOf(name, 4, a), ...gapOf(name, 6, aaaa)];
    return { addresses, gaps, ttlMs: shortestTtl(records) };
  }

  return {
    lookup: async (query) => {
      try {
        return await lookup(query);
      } catch (error) {
        return { failure: error instanceof Error ? error.message : String(error) };
      }
    },
    stop: () => client?.stop(),
  };
}

const NOTHING: HostAddresses = { addresses: [], gaps: [], ttlMs: Number.POSITIVE_INFINITY };

function addressAnswer(name: string, { addresses, gaps, ttlMs }: HostAddresses): Answer {
  return {
    foundAs: name,
    records: undefined,
    addresses: new Map([[name, addresses]]),
    gaps,
    ttlMs: gaps.length > 0 ? Math.min(ttlMs, GAP_TTL_MS) : ttlMs,
  };
}

function serviceAnswer(name: string, records: readonly SrvRecord[], hosts: ReadonlyMap<string, HostAddresses>): Answer {
  const all = [...hosts.values()];
  const ttlMs = Math.min(SERVICE_TTL_MS.max, ...all.map((host) => host.ttlMs));
  return {
    foundAs: name,
    records,
    addresses: new Map(
      [...hosts].filter(([, host]) => host.addresses.length > 0).map(([it, host]) => [it, host.addresses]),
    ),
    gaps: all.flatMap((host) => host.gaps),
    ttlMs: Math.max(SERVICE_TTL_MS.min, ttlMs),
  };
}

function recordsOf<R>(reply: Reply<R>): readonly R[] {
  return reply.kind === 'records' ? reply.records : [];
}

function gapOf(host: string, family: 4 | 6, reply: Reply<unknown>): readonly Gap[] {
  return reply.kind === 'failed' ? [{ host, family, reason: reply.reason }] : [];
}

/** A TTL with the top bit set means 0 (RFC 2181 section 8). */
function shortestTtl(records: readonly AddressRecord[]): number {
  const seconds = records.flatMap(({ ttl }) => (ttl === undefined ? [] : [ttl > 0x7fff_ffff ? 0 : ttl]));
  return Math.min(...seconds) * 1000;
}

function inOrder(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses)].sort(byCodeUnits);
}
