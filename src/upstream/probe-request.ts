// What an active http probe asks, whichever client asks it.
import type { Fields } from '../codec/exchange.ts';
import { findField } from '../codec/fields.ts';
import type { ActivePolicy } from '../model/policy.ts';
import { endpointId } from './endpoint.ts';

/** Which endpoint is asked. */
export interface ProbedEndpoint {
  readonly address: string;
  /** The endpoint's; the policy may name another one to probe. */
  readonly port: number;
  /** DNS name that the endpoint was found under; empty for an address. */
  readonly host: string;
}

/** An http request for status and nothing else. */
export interface ProbeRequest {
  readonly method: string;
  /** The request target: of CONNECT host and port (RFC 9110 section 9.3.6), else path and query. */
  readonly target: string;
  /** `Host` or `:authority`. */
  readonly authority: string;
  /** `content-length` among them where there is a body. */
  readonly fields: Fields;
  /** Undefined: none. */
  readonly body: Buffer | undefined;
}

/** Requests with these methods have no content (RFC 9110 sections 9.3.6 and 9.3.8). */
const NO_CONTENT = new Set(['CONNECT', 'TRACE']);

/** The port that is probed. */
export function probedPort({ port }: ProbedEndpoint, policy: ActivePolicy): number {
  return policy.port ?? port;
}

/**
 * Host of a probe: that of the check (`checks.active.host`, else the `upstream_host` of calls), else the endpoint's DNS
 * name, else its address with the port.
 */
export function probeAuthority(endpoint: ProbedEndpoint, policy: ActivePolicy): string {
  const host = policy.host ?? endpoint.host;
  if (host === '') return endpointId(endpoint.address, probedPort(endpoint, policy));
  // An IPv6 address as host goes into brackets (RFC 3986 section 3.2.2).
  return !host.startsWith('[') && host.split(':').length > 2 ? `[${host}]` : host;
}

/** The request that an http or https check asks. */
export function probeRequest(endpoint: ProbedEndpoint, policy: ActivePolicy): ProbeRequest {
  const method = policy.httpMethod;
  const fields = [...policy.requestFields];
  if (findField(fields, 'user-agent') === undefined) fields.push('user-agent', 'outrigger-health-check');
  const authority = probeAuthority(endpoint, policy);
  const hasBody = policy.httpBody !== '' && !NO_CONTENT.has(method);
  const body = hasBody ? Buffer.from(policy.httpBody, 'utf8') : undefined;
  if (body) fields.push('content-length', String(body.length));
  if (method !== 'CONNECT') return { method, target: policy.httpPath, authority, fields, body };
  const target = /:\d+$/.test(authority) ? authority : `${authority}:${probedPort(endpoint, policy)}`;
  return { method, target, authority: target, fields, body };
}
