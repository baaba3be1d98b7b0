// The final dot of a name as it is written. It says that the name is complete, so that the search list adds nothing
// (resolv.conf(5)). It is no part of the name that is found, sent as `Host` or looked for in a certificate.

/** Whether the name ends in a dot. */
export function isAbsolute(name: string): boolean {
  return name.endsWith('.');
}

/** The name without it. */
export function withoutFinalDot(name: string): string {
  return isAbsolute(name) ? name.slice(0, -1) : name;
}
