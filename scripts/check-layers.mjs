// Holds the import arrows between the folders of src/ (docs/architecture.md draws them), and keeps clocks, chance,
// sockets and the console in the files that are meant for them.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const MAY_IMPORT = {
  base: [],
  gen: [],
  rpc: ['base', 'gen'],
  model: ['base'],
  codec: ['base'],
  net: ['base'],
  identity: ['base', 'model', 'net'],
  route: ['base', 'model', 'codec', 'policy'],
  plugin: ['base', 'model', 'codec', 'policy'],
  policy: ['base', 'model', 'codec'],
  balance: ['base', 'model'],
  health: ['base', 'model'],
  discovery: ['base', 'model'],
  telemetry: ['base', 'model'],
  downstream: ['base', 'model', 'codec', 'net', 'identity', 'telemetry'],
  upstream: ['base', 'model', 'codec', 'net', 'identity', 'telemetry', 'balance', 'health', 'policy'],
  proxy: ['base', 'model', 'codec', 'telemetry', 'route', 'policy', 'plugin', 'balance', 'upstream'],
  config: ['base', 'model', 'gen', 'identity'],
  control: ['base', 'model', 'gen', 'config', 'identity', 'telemetry'],
  admin: ['base', 'model', 'gen', 'rpc', 'telemetry'],
  controlplane: ['base', 'model', 'net', 'gen', 'rpc', 'config', 'identity'],
  runtime: [
    'base',
    'model',
    'codec',
    'gen',
    'identity',
    'telemetry',
    'route',
    'plugin',
    'downstream',
    'upstream',
    'proxy',
  ],
  demo: ['base', 'model', 'net', 'gen', 'config', 'control', 'controlplane', 'runtime', 'cli', 'identity', 'telemetry'],
  cli: ['base', 'model', 'gen', 'config', 'control', 'controlplane', 'runtime', 'demo', 'net', 'identity', 'telemetry'],
};
/** What may stand only in the files named. */
const ONLY_IN = [
  {
    pattern: /\bDate\.|\bnew Date\(\)|\bperformance\b|\bset(Timeout|Interval)\(/,
    files: ['base/clock.ts'],
    what: 'a clock or timer',
  },
  { pattern: /Math\.random|randomBytes|randomUUID/, files: ['base/rng.ts'], what: 'chance' },
  { pattern: /\bconsole\./, files: [], what: 'the console' },
  { pattern: /process\.(env|argv)/, files: ['main.ts'], what: 'process.env or process.argv' },
  {
    pattern: /from 'node:(net|tls|dns)'/,
    folders: ['net', 'discovery', 'admin', 'identity', 'controlplane'],
    what: 'sockets',
  },
  {
    pattern: /from '@grpc\/grpc-js'/,
    folders: ['control', 'rpc', 'admin', 'controlplane', 'cli', 'demo', 'gen'],
    what: 'grpc-js',
  },
  { pattern: /\b(TODO|FIXME|XXX)\b/, files: [], what: 'a debt' },
];

const problems = [];
const files = readdirSync('src', { recursive: true })
  .map((name) => String(name).replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts'));
for (const file of files) {
  const folder = file.includes('/') ? file.split('/')[0] : '';
  const text = readFileSync(join('src', file), 'utf8');
  if (folder !== '' && !(folder in MAY_IMPORT)) problems.push(`src/${file}: folder ${folder} is not in the table`);
  for (const match of text.matchAll(/from '(\.[^']+)'|import\('(\.[^']+)'\)/g)) {
    const target = normalize(join(dirname(file), match[1] ?? match[2])).replaceAll('\\', '/');
    const other = target.includes('/') ? target.split('/')[0] : '';
    if (folder === '' || other === folder) continue;
    const mayBeApp = other === '' && ['cli', 'demo'].includes(folder) && target === 'app.ts';
    if (!mayBeApp && !(MAY_IMPORT[folder] ?? []).includes(other)) {
      problems.push(`src/${file}: ${folder} may not import ${target}`);
    }
  }
  if (folder === 'gen') continue;
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
  for (const { pattern, files: only, folders, what } of ONLY_IN) {
    if (only?.includes(file) || folders?.includes(folder)) continue;
    const hit = code.match(pattern);
    if (hit)
      problems.push(
        `src/${file}: ${what} (${hit[0]}) belongs ${only?.length ? `in src/${only[0]}` : folders ? `in ${folders.join(', ')}` : 'nowhere'}`,
      );
  }
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
