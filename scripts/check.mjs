// `npm run check`: format, lint, types, import arrows, protos, generated code, documents. Every step runs; all failures show.
import { spawnSync } from 'node:child_process';

const bin = 'node_modules/.bin/';
const steps = [
  ['format', bin + 'oxfmt', ['--check']],
  ['lint', bin + 'oxlint', ['--type-aware', '--deny-warnings', 'src', 'test', 'scripts']],
  ['types', bin + 'tsc', ['-p', 'tsconfig.json', '--noEmit']],
  ['layers', process.execPath, ['scripts/check-layers.mjs']],
  ['buf lint', bin + 'buf', ['lint']],
  ['buf format', bin + 'buf', ['format', '-d', '--exit-code']],
  ['generated code', process.execPath, ['scripts/gen.mjs', '--check']],
];
let failed = 0;
for (const [name, command, args] of steps) {
  const run = spawnSync(command, args, { encoding: 'utf8' });
  const ok = run.status === 0;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  if (!ok) {
    failed++;
    process.stdout.write(`${run.stdout ?? ''}${run.stderr ?? ''}${run.error ? String(run.error) + '\n' : ''}`);
  }
}
process.exit(failed === 0 ? 0 : 1);
