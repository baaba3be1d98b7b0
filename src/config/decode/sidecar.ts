import type { Sidecar } from '../../gen/outrigger/config/v1/sidecar.ts';
import { endpointHostProblem } from '../dns-name.ts';
import { CONNECT_RULES, parseHostPort } from '../host-port.ts';
import { entry, type ProblemList, quote } from '../problem-list.ts';
import { nameProblem } from './values.ts';

/** Checks a Sidecar: names of listeners, each once, and the address of the Admin API. */
export function checkSidecar(message: Sidecar, problems: ProblemList): void {
  const first = new Map<string, number>();
  for (const [i, name] of message.listeners.entries()) {
    const path = entry('listeners', i);
    const reason = nameProblem(name);
    if (reason !== undefined) problems.add(path, reason);
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, i);
    else problems.add(path, `${quote(name)} is named by listeners[${earlier}] already`);
  }
  const reason = message.adminApi === undefined ? undefined : adminApiProblem(message.adminApi);
  if (reason !== undefined) problems.add('admin_api', reason);
}

/** `HOST:PORT`, or `:PORT` of the host that isn't known here. */
function adminApiProblem(text: string): string | undefined {
  const address = parseHostPort(text.startsWith(':') ? `localhost${text}` : text, CONNECT_RULES);
  if (!address.ok) return text.startsWith(':') ? `${quote(text)}: ${address.reason}` : address.reason;
  return endpointHostProblem(address.host);
}
