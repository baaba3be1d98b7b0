// Installs what `npm run conformance` runs and a Go toolchain can build: h2spec, h2specd, grpc-go's interop client and
// server, grpcurl and ghz. What is on PATH or was installed before is left alone; nothing needs root. A tool that can't be
// installed is named, and the rest goes on; the exit status is 1 if any failed. Others of the suites' programs come with
// the system: h2load (nghttp2-client), slowhttptest, testssl.sh.
//
//   node scripts/install-conformance-tools.mjs [NAME…]
import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

/** The newest commit of h2spec has a case more than its last release, which is what a module proxy may only have. */
const H2SPEC = ['af83a65f0b62', 'v2.2.1+incompatible'];
const GRPC = ['v1.85.0'];

/** Name → package, and its versions, the first that can be had. */
const TOOLS = {
  h2spec: ['github.com/summerwind/h2spec/cmd/h2spec', H2SPEC],
  h2specd: ['github.com/summerwind/h2spec/cmd/h2specd', H2SPEC],
  'interop-client': ['google.golang.org/grpc/interop/client', GRPC],
  'interop-server': ['google.golang.org/grpc/interop/server', GRPC],
  grpcurl: ['github.com/fullstorydev/grpcurl/cmd/grpcurl', ['v1.9.4']],
  ghz: ['github.com/bojand/ghz/cmd/ghz', ['v0.93.0']],
};
const INSTALL_MS = 300_000;

const own = resolve('.cache/tools/bin');
const given = process.env.OUTRIGGER_TOOLS;
const folders = [
  ...(process.env.PATH ?? '').split(delimiter),
  ...(given ? [join(given, 'bin')] : []),
  own,
  join(homedir(), '.cache', 'outrigger-tools', 'bin'),
];

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in TOOLS));
if (unknown !== undefined) {
  console.error(`no tool ${unknown}; there are: ${Object.keys(TOOLS).join(', ')}`);
  process.exit(2);
}
let failed = 0;
for (const [name, [path, versions]] of Object.entries(TOOLS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  if (folders.some((folder) => isExecutable(join(folder, name)))) {
    console.log(`there     ${name}`);
    continue;
  }
  const problem = install(name, path, versions);
  if (problem === undefined) continue;
  failed++;
  console.log(`FAILED    ${name}: ${problem}`);
}
process.exit(failed === 0 ? 0 : 1);

/** Says why it didn't work, or nothing. */
function install(name, path, versions) {
  let problem = '';
  for (const version of versions) {
    mkdirSync(own, { recursive: true });
    // Built in a folder of its own: the file is named after the package, and may not be what we call it.
    const folder = mkdtempSync(join(own, '.build-'));
    try {
      const run = spawnSync('go', ['install', `${path}@${version}`], {
        cwd: folder,
        env: { ...process.env, GOBIN: folder },
        encoding: 'utf8',
        timeout: INSTALL_MS,
      });
      if (run.error?.code === 'ENOENT') return 'go is not installed';
      if (run.status === 0) {
        renameSync(join(folder, path.slice(path.lastIndexOf('/') + 1)), join(own, name));
        console.log(`installed ${name} ${version}`);
        return undefined;
      }
      problem = run.error ? String(run.error) : run.stderr.trim().split('\n').at(-1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return problem;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
