// Hosts of endpoints, as ApisixUpstreams and Services name them.
import { canonicalDnsName, endpointHostProblem, unbracketed } from '../../config/dns-name.ts';
import { canonicalIp } from '../../base/ip-address.ts';
import type { Value } from './value.ts';

/** An IP address or a DNS name in its one spelling; reports what is neither. */
export function readHost(value: Value | undefined): string | undefined {
  const text = value?.text();
  if (value === undefined || text === undefined) return undefined;
  const problem = endpointHostProblem(text);
  if (problem === undefined) return canonicalIp(unbracketed(text)) ?? canonicalDnsName(text);
  value.error(problem, 'write for example foo.example or 10.0.0.5');
  return undefined;
}
