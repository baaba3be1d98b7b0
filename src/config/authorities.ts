// Which authority picks which target of a Listener.

/** The parts of a Target that count here. */
interface Named {
  readonly upstream: string;
  readonly authorities: readonly string[];
}

/**
 * An authority as it is compared: lower case, without a port, the brackets of an IPv6 address and the dot that ends a
 * fully qualified name (RFC 3986 section 3.2.2).
 */
export function normalAuthority(authority: string): string {
  const small = authority.toLowerCase();
  const bracketed = /^\[([^\]]*:[^\]]*)\](?::\d*)?$/.exec(small)?.[1];
  if (bracketed !== undefined) return bracketed;
  // A colon inside an unbracketed IPv6 address starts no port.
  return (/^([^:]*):\d*$/.exec(small)?.[1] ?? small).replace(/\.$/, '');
}

/**
 * The names that a client in Kubernetes would call `namespace/service` by. For an upstream that isn't named so, its
 * name.
 */
export function defaultAuthorities(upstream: string): readonly string[] {
  const [namespace = '', service, ...more] = upstream.toLowerCase().split('/');
  if (service === undefined || service === '' || namespace === '' || more.length > 0) return [upstream.toLowerCase()];
  const base = `${service}.${namespace}`;
  return [service, base, `${base}.svc`, `${base}.svc.cluster.local`];
}

/**
 * Authorities of each target, in order, lower case and without a port. No two targets share one: what a target states
 * stands above what another would have by default, and among defaults the earlier target has it.
 */
export function targetAuthorities(targets: readonly Named[]): readonly (readonly string[])[] {
  const taken = new Set<string>();
  for (const target of targets) for (const authority of target.authorities) taken.add(normalAuthority(authority));
  return targets.map((target) => {
    if (target.authorities.length > 0) return [...new Set(target.authorities.map(normalAuthority))];
    const free = defaultAuthorities(target.upstream).filter((authority) => !taken.has(authority));
    for (const authority of free) taken.add(authority);
    return free;
  });
}
