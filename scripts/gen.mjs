// Regenerates src/gen: ts-proto's messages and services, and the descriptor set that reflection serves. The set holds
// the proto comments, so `grpcurl describe` shows them. `--check` generates beside it and reports a difference.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const check = process.argv.includes('--check');
const run = (command, args) => execFileSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
const scratch = mkdtempSync(join(tmpdir(), 'outrigger-gen-'));
const out = check ? join(scratch, 'gen') : 'src/gen';
try {
  if (!check) rmSync(out, { recursive: true, force: true });
  const template = readFileSync('buf.gen.yaml', 'utf8').replace('out: src/gen', `out: ${out}`);
  writeFileSync(join(scratch, 'buf.gen.yaml'), template);
  run('node_modules/.bin/buf', ['generate', '--template', join(scratch, 'buf.gen.yaml')]);
  const image = join(scratch, 'image.binpb');
  run('node_modules/.bin/buf', ['build', '--as-file-descriptor-set', '-o', image]);
  const base64 = readFileSync(image).toString('base64');
  const lines = base64.match(/.{1,110}/g).map((line) => `  '${line}',`);
  writeFileSync(
    join(out, 'descriptors.ts'),
    `// Made by scripts/gen.mjs from proto/; don't edit.\n/** A google.protobuf.FileDescriptorSet of all protos, base64. */\nexport const DESCRIPTOR_SET_BASE64 = [\n${lines.join('\n')}\n].join('');\n`,
  );
  if (check) run('diff', ['-r', 'src/gen', out]);
} catch (error) {
  console.error(check ? 'src/gen differs from proto/: run `npm run gen`' : String(error));
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
