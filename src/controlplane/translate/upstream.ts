// A Service and the ApisixUpstream of the same name, or one of the two → the policy of the Upstream.
import { PortLevelSettings, Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Finding } from '../finding.ts';
import { schemeOfAppProtocol, suggestAppProtocol } from '../read/service.ts';
import type { ApisixUpstreamObject, ServiceObject, ServicePort } from '../source.ts';

/** The policy of a name. Scheme of a port: ApisixUpstream (port, then outer), else `appProtocol`, else http. */
export function makeUpstream(
  name: string,
  service: ServiceObject | undefined,
  decoration: ApisixUpstreamObject | undefined,
  report: (finding: Finding) => void,
): Upstream {
  const policy = decoration?.upstream ?? Upstream.fromPartial({ name });
  if (service === undefined) return policy;
  const settings = new Map(policy.portLevelSettings.map((port) => [port.port, port]));
  for (const port of service.ports) {
    const written = settings.get(port.port);
    if (policy.scheme !== undefined || written?.scheme !== undefined) continue;
    const scheme = schemeOf(service, port, report);
    if (scheme === undefined) continue;
    settings.set(port.port, { ...(written ?? PortLevelSettings.fromPartial({ port: port.port })), scheme });
  }
  return { ...policy, portLevelSettings: [...settings.values()].sort((a, b) => a.port - b.port) };
}

/** Reports port level settings that no port of the service has. */
export function reportUnknownPorts(
  name: string,
  { portOrigins }: ApisixUpstreamObject,
  ports: readonly ServicePort[],
  report: (finding: Finding) => void,
): void {
  for (const [port, origin] of portOrigins) {
    if (ports.some((known) => known.port === port)) continue;
    const known = ports.map((one) => one.port).join(', ');
    report({
      severity: 'warning',
      ...origin,
      object: `ApisixUpstream ${name}`,
      path: 'spec.portLevelSettings',
      message: `port ${port} is no TCP port of the Service (it has ${known === '' ? 'none' : known})`,
      fix: 'write the number of the Service port, not the targetPort',
    });
  }
}

function schemeOf(service: ServiceObject, port: ServicePort, report: (finding: Finding) => void): string | undefined {
  if (port.appProtocol === undefined) return undefined;
  const scheme = schemeOfAppProtocol(port.appProtocol);
  if (scheme === undefined) {
    report({
      severity: 'warning',
      ...port.origin,
      object: `Service ${service.namespace}/${service.name}`,
      path: 'spec.ports',
      message: `appProtocol '${port.appProtocol}' of port ${port.port} is not known; the port is carried as http`,
      fix: suggestAppProtocol(port.appProtocol) ?? 'set the scheme in an ApisixUpstream',
    });
  }
  return scheme;
}
