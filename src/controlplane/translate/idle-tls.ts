// TLS settings of an ApisixUpstream that no port uses. Which scheme a port has may be said by its Service, so that this is
// seen only here.
import type { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import { isSecureScheme, type Scheme } from '../../model/policy.ts';
import type { Finding } from '../finding.ts';
import type { ApisixUpstreamObject, TlsSetting } from '../source.ts';

/** Reports what has no effect. `ports`: those that are carried. `upstream`: the policy with the schemes of the Service. */
export function reportIdleTls(
  name: string,
  { tlsSettings, portOrigins }: ApisixUpstreamObject,
  upstream: Upstream,
  ports: readonly number[],
  report: (finding: Finding) => void,
): void {
  const known = ports.length > 0 ? ports : [...portOrigins.keys()];
  for (const setting of tlsSettings) {
    const reached = reachedBy(setting, upstream, known);
    if (reached.length === 0 || reached.some((port) => usesTls(upstream, port))) continue;
    report({
      severity: 'warning',
      ...setting.origin,
      object: `ApisixUpstream ${name}`,
      path: setting.path,
      message: `has no effect: ${reached.map((port) => schemeInWords(upstream, port)).join(', ')}`,
      fix: 'write `scheme: https` or `scheme: grpcs`, or remove it',
    });
  }
}

/** Ports that a setting is for; undefined stands for any port, where none is known. */
function reachedBy(
  { reach, port }: TlsSetting,
  { portLevelSettings }: Upstream,
  ports: readonly number[],
): readonly (number | undefined)[] {
  if (reach === 'port') return ports.filter((one) => one === port);
  if (ports.length === 0) return [undefined];
  // The TLS of a port is a group: a tlsSecret there stands in the place of that of the whole.
  const own = new Set(portLevelSettings.filter(({ tls }) => tls !== undefined).map((settings) => settings.port));
  return ports.filter((one) => reach === 'all' || !own.has(one));
}

/** By its scheme, or for its probes alone. */
function usesTls(upstream: Upstream, port: number | undefined): boolean {
  const settings = upstream.portLevelSettings.find((one) => one.port === port);
  const check = settings?.checks?.active ?? upstream.checks?.active;
  return isSecureScheme(schemeOf(upstream, port)) || check?.type === 'https';
}

function schemeOf({ scheme, portLevelSettings }: Upstream, port: number | undefined): Scheme {
  return (portLevelSettings.find((one) => one.port === port)?.scheme ?? scheme ?? 'http') as Scheme;
}

function schemeInWords(upstream: Upstream, port: number | undefined): string {
  const scheme = schemeOf(upstream, port);
  return port === undefined ? `the scheme is ${scheme}` : `the scheme of port ${port} is ${scheme}`;
}
