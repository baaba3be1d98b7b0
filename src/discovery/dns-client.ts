// Single DNS questions through c-ares, which is built into Node: over sockets of its own, not the thread pool that
// `dns.lookup` shares with the file system, and with the time to live. It follows CNAMEs and asks over TCP what came
// truncated. It knows neither /etc/hosts nor the search list; resolver.ts adds those.
import { promises as dns } from 'node:dns';
import { withoutFinalDot } from './final-dot.ts';

/** An SRV record (RFC 2782). */
export interface SrvRecord {
  /** Host, lower case without final dot; empty: the service is decidedly not there. */
  readonly target: string;
  readonly port: number;
  /** Lower is tried first. */
  readonly priority: number;
  readonly weight: number;
}

/** An address as the server wrote it. */
export interface AddressRecord {
  readonly address: string;
  /** Seconds, of the shortest record on the way; undefined where Node doesn't tell (beyond the 256th, Node 20). */
  readonly ttl?: number | undefined;
}

/** What came of a question. */
export type Reply<R> =
  | { readonly kind: 'records'; readonly records: readonly R[] }
  /** The name exists, with no such record (`none`), or it doesn't (`no_name`). */
  | { readonly kind: 'none' | 'no_name' }
  /**
   * `isServerFault`: a server answered that it can't say (SERVFAIL); else there was no answer, or one that is no good.
   */
  | { readonly kind: 'failed'; readonly code: string; readonly isServerFault: boolean; readonly reason: string };

/** Asks. */
export interface DnsClient {
  a(name: string): Promise<Reply<AddressRecord>>;
  aaaa(name: string): Promise<Reply<AddressRecord>>;
  srv(name: string): Promise<Reply<SrvRecord>>;
  /** Ends what is in flight, as failures. */
  stop(): void;
}

/** How to ask. */
export interface DnsClientOptions {
  /** `IP` or `IP:PORT`, in order; undefined: those of /etc/resolv.conf. */
  readonly servers: readonly string[] | undefined;
  /** Wait for one server's answer at the first try, ms; c-ares doubles it with each. */
  readonly timeoutMs: number;
  /** Tries of each server, 1 or more. */
  readonly tries: number;
}

/**
 * Questions in flight at once; more wait for their turn. A burst of some hundred datagrams overflows a socket's buffer
 * (of 1,000 at once 488 were lost on loopback) and then costs a whole timeout.
 */
const MAX_QUESTIONS = 128;

/** A client that asks the servers it finds when it is made. Throws if one of `servers` isn't an address. */
export function createDnsClient({ servers, timeoutMs, tries }: DnsClientOptions): DnsClient {
  const resolver = new dns.Resolver({ timeout: timeoutMs, tries });
  if (servers) resolver.setServers(servers);
  const waiting: (() => void)[] = [];
  let inFlight = 0;
  let stopped = false;

  async function ask<T, R>(question: () => Promise<readonly T[]>, convert: (record: T) => R): Promise<Reply<R>> {
    if (inFlight < MAX_QUESTIONS) inFlight++;
    else await new Promise<void>((resolve) => waiting.push(resolve)); // takes over the place of the one that ends
    try {
      if (stopped) return failed('ECANCELLED');
      const records = await question();
      return records.length === 0 ? { kind: 'none' } : { kind: 'records', records: records.map(convert) };
    } catch (error) {
      return replyTo(error);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else inFlight--;
    }
  }

  return {
    a: (name) => ask<AddressRecord, AddressRecord>(() => resolver.resolve4(name, { ttl: true }), same),
    aaaa: (name) => ask<AddressRecord, AddressRecord>(() => resolver.resolve6(name, { ttl: true }), same),
    srv: (name) =>
      ask(
        () => resolver.resolveSrv(name),
        (record): SrvRecord => ({
          target: withoutFinalDot(record.name.toLowerCase()),
          port: record.port,
          priority: record.priority,
          weight: record.weight,
        }),
      ),
    stop() {
      stopped = true;
      resolver.cancel();
    },
  };
}

function same(record: AddressRecord): AddressRecord {
  return record;
}

/** Codes of Node's dns module, in words. */
const REASONS: Readonly<Record<string, string>> = {
  ESERVFAIL: 'the DNS server failed (SERVFAIL)',
  EREFUSED: 'the DNS server refused the question (REFUSED)',
  ENOTIMP: "the DNS server doesn't know such questions (NOTIMP)",
  EFORMERR: "the DNS server didn't understand the question (FORMERR)",
  EBADRESP: 'the answer of the DNS server is malformed',
  ETIMEOUT: 'no answer from the DNS server',
  ECONNREFUSED: "the DNS server can't be reached",
  EBADNAME: 'not a domain name',
  ECANCELLED: 'cancelled',
};

function replyTo(error: unknown): Reply<never> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'EUNKNOWN';
  if (code === 'ENODATA') return { kind: 'none' };
  if (code === 'ENOTFOUND') return { kind: 'no_name' };
  return failed(code);
}

function failed(code: string): Reply<never> {
  return { kind: 'failed', code, isServerFault: code === 'ESERVFAIL', reason: REASONS[code] ?? `DNS error ${code}` };
}
