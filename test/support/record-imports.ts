// A preload (`node --import`) that writes the address of every module the process imports, a line each, to the file named by
// RECORDED_IMPORTS. What a CommonJS module requires in its turn is not among them.
import * as module from 'node:module';
import { appendFileSync } from 'node:fs';

type Load = (url: string, context: unknown, next: (url: string, context: unknown) => unknown) => unknown;

const file = process.env['RECORDED_IMPORTS'] ?? '';
const record = `(url, context, next) => { appendFileSync(${JSON.stringify(file)}, url + '\\n'); return next(url, context); }`;
const hooks = `import { appendFileSync } from 'node:fs'; export const load = ${record};`;
// Node 22.15 and later has hooks in the same thread; what Node 20 has goes away.
const { registerHooks } = module as { registerHooks?: (hooks: { load: Load }) => void };
if (registerHooks) {
  registerHooks({
    load: (url, context, next) => {
      appendFileSync(file, `${url}\n`);
      return next(url, context);
    },
  });
} else module.register(`data:text/javascript,${encodeURIComponent(hooks)}`);
