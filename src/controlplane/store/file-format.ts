import type { JsonObject } from './store.ts';

/** Version of the store's files; another one is refused. */
export const FORMAT = 1;

/** Says that another version wrote a file. */
export function otherFormat(path: string, format: unknown): Error {
  return new Error(
    `${path}: is of format ${String(format)}, this version reads ${FORMAT}: use the version that wrote it`,
  );
}

/** Whether a parsed value is a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
