/** An address of this machine for each number below 65,024: 127.0.0.1, 127.0.0.2 … 127.0.1.1 and so on. */
export function loopbackAddress(index: number): string {
  return `127.0.${Math.floor(index / 254)}.${1 + (index % 254)}`;
}
