/**
 * Spreads a 32-bit integer evenly over [0, 1) (the finalizer of MurmurHash3): chance that is the same each time, where an
 * algorithm must answer the same question the same way.
 */
export function unitHash(value: number): number {
  let hash = Math.imul(value, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}
