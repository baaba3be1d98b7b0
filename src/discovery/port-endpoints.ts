// From the names of an upstream port to its endpoints.
import { orderedEndpoints } from '../model/endpoint-list.ts';
import type { EndpointSpec, NameSpec, Snapshot, UpstreamPort } from '../model/snapshot.ts';
import type { Answer } from './answer.ts';
import { withoutFinalDot } from './final-dot.ts';
import { weigher, type WeightShare } from './weight-shares.ts';

/** SRV priorities go up to this; ours are signed 32-bit numbers. */
const LOWEST_PRIORITY = -0x8000_0000;

/** An endpoint whose weight is still to be worked out. */
interface Draft {
  readonly share: WeightShare;
  readonly spec: EndpointSpec;
}

/**
 * The names of a port that are looked up. One with weight 0 gets no calls while another has more, so it isn't asked
 * for; where nothing has more, all are.
 */
export function activeNames({ names, endpoints }: UpstreamPort): readonly NameSpec[] {
  if (names.every(hasWeight)) return names;
  return names.some(hasWeight) || endpoints.some(hasWeight) ? names.filter(hasWeight) : names;
}

/** The names of a whole configuration that are looked up; a name may come several times. */
export function* activeNamesOf({ ports }: Pick<Snapshot, 'ports'>): Generator<NameSpec> {
  for (const port of ports.values()) if (port.names.length > 0) yield* activeNames(port);
}

function hasWeight({ weight }: { readonly weight: number }): boolean {
  return weight > 0;
}

/** The port's own endpoints and those of `names`, ordered, without duplicates: the later stands. */
export function portEndpoints(
  own: readonly EndpointSpec[],
  names: readonly NameSpec[],
  answerTo: (name: NameSpec) => Answer | undefined,
): readonly EndpointSpec[] {
  const drafts: Draft[] = own.map((spec) => ({ share: { weight: spec.weight, count: 1 }, spec }));
  for (const name of names) {
    const answer = answerTo(name);
    if (!answer) continue;
    if (answer.records) draftRecords(name, answer, drafts);
    else {
      const host = withoutFinalDot(name.name);
      for (const addresses of answer.addresses.values()) draftAddresses(name, host, addresses, drafts);
    }
  }
  const weigh = weigher(drafts.map(({ share }) => share));
  return orderedEndpoints(
    drafts.map(({ share, spec }) => {
      const weight = weigh(share);
      return weight === spec.weight ? spec : { ...spec, weight };
    }),
  );
}

/** Each address of a name, or of an SRV target, which `of` describes. */
function draftAddresses(
  of: Pick<NameSpec, 'port' | 'weight' | 'priority' | 'labels'>,
  host: string,
  addresses: readonly string[],
  drafts: Draft[],
): void {
  const share = { weight: of.weight, count: addresses.length };
  for (const address of addresses) {
    const { port, weight, priority, labels } = of;
    drafts.push({ share, spec: { address, port, weight, priority, draining: false, labels, host } });
  }
}

/**
 * SRV records (RFC 2782) as APISIX takes them: weight 0 counts as 1, a lower number is a higher priority, and the
 * record's port gives way to one that was stated. `name.weight` multiplies all of them.
 */
function draftRecords(name: NameSpec, answer: Answer, drafts: Draft[]): void {
  for (const record of answer.records ?? []) {
    const of = {
      port: name.portIsSet || record.port === 0 ? name.port : record.port,
      weight: name.weight * Math.max(1, record.weight),
      priority: Math.max(LOWEST_PRIORITY, name.priority - record.priority),
      labels: name.labels,
    };
    draftAddresses(of, record.target, answer.addresses.get(record.target) ?? [], drafts);
  }
}
