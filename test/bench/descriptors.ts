import { readFileSync } from 'node:fs';

/** Share of its open files that a proxy lets callers have: each may need a connection upstream, and there is the rest. */
const FOR_CALLERS = 0.4;

/** How many files a process may have open here. Linux. */
export function descriptorLimit(): number {
  return Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 1024);
}

/** Connections that every peer takes within that limit. */
export function mostConnections(): number {
  return Math.floor(descriptorLimit() * FOR_CALLERS);
}
