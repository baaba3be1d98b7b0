// Equal policies as one object. Ten thousand Upstreams that differ in their nodes alone have one policy, with its
// provenance, instead of ten thousand; nothing is computed for those that come later.
import type { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import type { UpstreamTls } from '../gen/outrigger/config/v1/tls.ts';
import type { PolicyFields } from './decode/upstream.ts';

/**
 * Values by the content of an Upstream, as far as it rules a policy. They are held weakly: the last Upstream that goes takes its
 * value along.
 */
export class PolicyTable<V extends object> {
  private readonly byContent = new Map<string, WeakRef<V>>();
  private readonly gone = new FinalizationRegistry<string>((content) => {
    // Another one of this content may have come since.
    if (this.byContent.get(content)?.deref() === undefined) this.byContent.delete(content);
  });

  /** The value of an Upstream with this content, made if there is none. */
  share(upstream: Upstream, make: () => V): V {
    const content = policyContent(upstream);
    if (content === undefined) return make();
    const found = this.byContent.get(content)?.deref();
    if (found !== undefined) return found;
    const made = make();
    this.byContent.set(content, new WeakRef(made));
    this.gone.register(made, content);
    return made;
  }

  /** How many contents there are. */
  get size(): number {
    return this.byContent.size;
  }
}

/**
 * Everything but names, nodes and what is for people. Undefined where there is a key or certificate: its policy names its owner, and
 * a private key has no business in a table.
 */
function policyContent(upstream: Upstream): string | undefined {
  if (holdsCertificates(upstream) || upstream.portLevelSettings.some(holdsCertificates)) return undefined;
  const { name: _, desc: __, labels: ___, nodes: ____, _unknownFields: _____, ...policy } = upstream;
  return JSON.stringify(policy);
}

function holdsCertificates({ tls }: Pick<PolicyFields, 'tls'>): boolean {
  return tls !== undefined && holds(tls);
}

function holds({ clientCert, clientKey, caCerts }: UpstreamTls): boolean {
  return clientCert !== undefined || clientKey !== undefined || caCerts.length > 0;
}
