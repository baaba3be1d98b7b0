/** The bytes of a setting in UTF-8, one character each, as those of requests are. */
export function toLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
