import type { Sidecar } from '../../gen/outrigger/config/v1/sidecar.ts';
import { entry, type ProblemList, quote } from '../problem-list.ts';
import { nameProblem, refuse } from './values.ts';

/** Checks a Sidecar: names of listeners, each once. */
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
  refuse(problems, 'gateway', message.gateway === true);
}
