// What is told of a text that is no valid YAML. The parser quotes what it stumbles over, which may be a piece of a
// private key: of a text that may hold one only the kind of the fault is told.
import type { YAMLError } from 'yaml';

/** Whether a text may hold secrets, however broken it is. */
export function mayHoldSecrets(text: string): boolean {
  return /(?<![A-Za-z])Secret|stringData|tls\.key|(private|client)(_k|K)ey|key[-_]auth|PRIVATE KEY|-----BEGIN/.test(
    text,
  );
}

/** The parser's message, or for a text that may hold secrets only the kind of fault. */
export function syntaxMessage(error: Pick<YAMLError, 'message' | 'code'>, hidesText: boolean): string {
  const told = `is no valid YAML here (${error.code}); the text isn't shown, as the file may hold secrets`;
  return isTooDeep(error) || !hidesText ? failureMessage(error, false) : told;
}

/** The same for what was thrown at the whole file. */
export function failureMessage(error: Pick<Error, 'message'>, hidesText: boolean): string {
  if (isTooDeep(error)) return 'it is nested too deeply';
  return hidesText ? "the reason isn't shown, as the file may hold secrets" : error.message;
}

/** The parser recurses: a file of a hundred thousand brackets ends its stack. */
function isTooDeep({ message }: Pick<Error, 'message'>): boolean {
  return message.startsWith('Maximum call stack');
}
