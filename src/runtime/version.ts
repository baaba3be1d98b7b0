import { readFileSync } from 'node:fs';

/** Version of the program, from package.json. */
export const VERSION: string = (() => {
  // dist/src/runtime/ when compiled, src/runtime/ when Node strips the types.
  for (const up of ['../../../package.json', '../../package.json']) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), 'utf8');
      const parsed = JSON.parse(text) as { name?: string; version?: string };
      if (parsed.name === 'outrigger' && parsed.version !== undefined) return parsed.version;
    } catch {
      // the other place
    }
  }
  return 'unknown';
})();
