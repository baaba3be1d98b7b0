import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { lint } from '../../../../src/controlplane/lint.ts';
import { objectName } from '../../../../src/controlplane/object-name.ts';
import { type FileContent, readObjects } from '../../../../src/controlplane/read/objects.ts';
import { DirectorySource } from '../../../../src/controlplane/sources/directory.ts';
import { Translator } from '../../../../src/controlplane/translate/translator.ts';
import { Consumer, Route } from '../../../../src/gen/outrigger/config/v1/gateway.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const MAIN = join(import.meta.dirname, '../../../../src/main.js');

const namesOf = ({ objects }: Pick<FileContent, 'objects'>): string[] => objects.map(objectName);
const findingsOf = ({ findings }: Pick<FileContent, 'findings'>): string[] => findings.map(formatFinding);

function read(text: string): FileContent {
  return readObjects(text, 'apisix.yaml');
}

const GOOD = `
routes:
  - id: 1
    uri: /hello
    upstream_id: 1
    plugin_config_id: shared
  - uri: /bye
    service_id: 2
  - uri: /own
    upstream:
      nodes: {"127.0.0.1:1980": 1}
services:
  - id: 2
    upstream: {nodes: {"127.0.0.1:1981": 1}, type: chash, key: uri}
upstreams:
  - id: 1
    nodes:
      "127.0.0.1:1982": 1
consumers:
  - username: jack
    plugins: {key-auth: {key: auth-jack}}
  - id: jack/credentials/one
    plugins: {key-auth: {key: auth-one}}
plugin_configs:
  - id: shared
    plugins: {limit-count: {count: 2, time_window: 60}}
plugin_metadata:
  - id: limit-count
    limit_header: X-Limit
ssls: []
#END
`;

test('a standalone file with all of its lists', () => {
  const content = read(GOOD);
  assert.deepEqual(findingsOf(content), []);
  assert.deepEqual(namesOf(content), [
    'Route 1',
    'Route arr_2',
    'Route arr_3',
    'Upstream routes/arr_3',
    'Service 2',
    'Upstream services/2',
    'Upstream 1',
    'PluginConfig shared',
    'PluginConfig plugin_metadata/limit-count',
    'Consumer jack',
  ]);
  const consumer = content.objects.find((object) => objectName(object) === 'Consumer jack');
  assert.ok(consumer?.kind === 'native');
  const { plugins, credentials } = Consumer.decode(consumer.bytes);
  assert.equal(plugins?.keyAuth?.key, 'auth-jack');
  assert.deepEqual(
    credentials.map(({ id, keyAuth }) => [id, keyAuth?.key]),
    [['one', 'auth-one']],
  );
});

test('what it makes is translated to resources as they are', () => {
  const { objects } = read(GOOD);
  const { others, findings } = new Translator().translate(objects);
  assert.deepEqual(findings, []);
  assert.equal(others.length, objects.length);
});

test('without #END as the last line nothing of a YAML file is taken; a JSON file needs none', () => {
  for (const text of [GOOD.replace('#END\n', ''), GOOD.replace('#END', '#EN'), `${GOOD}routes2: []\n`]) {
    const content = read(text);
    assert.deepEqual(content.objects, []);
    assert.ok(content.isBroken);
    assert.match(findingsOf(content).at(-1) ?? '', /the last line is not #END.*write #END as the last line/);
  }
  for (const text of [GOOD.trimEnd(), `${GOOD}\n\n`, GOOD.replaceAll('\n', '\r\n')]) {
    assert.equal(read(text).objects.length, 10);
  }
  const json = JSON.stringify({ routes: [{ uri: '/a', upstream: { nodes: { '127.0.0.1:80': 1 } } }] });
  assert.deepEqual(namesOf(read(json)), ['Route arr_1', 'Upstream routes/arr_1']);
});

test('each item is told of with its place, and harms no other', () => {
  const content = read(`
routes:
  - id: 1
    uri: /a
    upstream_id: 1
    script: function
  - uri: /b
    upstream:
      "nodes ": {"127.0.0.1:1980": 1}
      "type ": chash
      key: nothing
  - id: 3
    uri: /c
    plugins:
      limit-conut: {}
  - 7
upstreams:
  - id: 1
    nodes: {"127.0.0.1:1982": 1}
    checks:
      active: {}
#END
`);
  assert.deepEqual(namesOf(content), ['Upstream 1']);
  assert.deepEqual(
    content.refused.map(({ object }) => object),
    ['Route 1', 'Upstream routes/1', 'Route arr_2', 'Upstream routes/arr_2', 'Route 3', 'Upstream routes/3'],
  );
  assert.ok(content.hasNameless);
  assert.deepEqual(
    findingsOf(content).map((line) => line.replace(/( and is filled| is none of).*/, '')),
    [
      'apisix.yaml:6:13: error: routes/1: script: not supported',
      'apisix.yaml:9:17: warning: routes/arr_2: upstream.nodes: the key "nodes " has blanks around it: they are taken off',
      'apisix.yaml:10:16: warning: routes/arr_2: upstream.type: the key "type " has blanks around it: they are taken off',
      "apisix.yaml:11:12: error: routes/arr_2: upstream.key: 'nothing'",
      'apisix.yaml:15:20: error: routes/3: plugins.limit-conut: unknown plugin [limit-conut]: did you mean limit-count?',
      'apisix.yaml:16:5: error: routes[3]: must be a map, not 7',
      'apisix.yaml:21:15: note: upstreams/1: checks.active: unhealthy is left out',
    ],
  );
});

test('lists that are not known or not acted on', () => {
  const content = read('rutes: []\nglobal_rules: [{id: 1}]\nprotos: []\n"upstreams ": []\nservices: {}\n#END\n');
  assert.deepEqual(findingsOf(content), [
    "apisix.yaml:1:1: error: rutes: unknown list (known: routes, services, upstreams, consumers, plugin_configs, plugin_metadata, ssls); did you mean 'routes'?",
    'apisix.yaml:2:1: error: global_rules: not supported; set the plugins on services or routes',
    'apisix.yaml:4:1: warning: upstreams: the key "upstreams " has blanks around it and is read as \'upstreams\'; remove the blanks',
    'apisix.yaml:5:11: error: services: must be a list, not a map',
  ]);
  assert.ok(content.hasNameless);
  // A list without a value is an empty one.
  assert.deepEqual(read('routes:\n#END\n').findings, []);
});

test('consumers and credentials that do not fit together', () => {
  const key = (value: string): string => `plugins: {key-auth: {key: ${value}}}`;
  const orphan = read(`consumers:\n  - id: joe/credentials/one\n    ${key('a')}\n#END\n`);
  assert.deepEqual(findingsOf(orphan), [
    'apisix.yaml:2:5: error: consumers/joe/credentials/one: consumers[0]: no consumer joe stands in this file; write the consumer into the same file',
  ]);
  const broken = read(
    `consumers:\n  - username: joe\n    ${key('a')}\n  - id: joe/credentials/one\n    plugins: {}\n  - username: jill\n#END\n`,
  );
  assert.deepEqual(namesOf(broken), ['Consumer jill']);
  assert.deepEqual(
    broken.refused.map(({ object }) => object),
    ['Consumer joe'],
  );
  const twice = read(
    `consumers:\n  - username: joe\n    ${key('a')}\n  - id: joe/credentials/one\n    ${key('a')}\n#END\n`,
  );
  assert.deepEqual(namesOf(twice), []);
  assert.match(findingsOf(twice).join('\n'), /2:5: error: consumers\/joe: .*is the same as plugins/);
  const again = read(`consumers:\n  - username: joe\n  - username: joe\n    ${key('a')}\n#END\n`);
  assert.deepEqual(namesOf(again), ['Consumer joe']);
  assert.match(findingsOf(again).join('\n'), /3:5: warning: consumers\/joe: .*stands in line 2 too/);
  const nameless = read('consumers:\n  - desc: x\nplugin_metadata:\n  - limit_header: X\n#END\n');
  assert.deepEqual(findingsOf(nameless), [
    'apisix.yaml:2:5: error: consumers[0]: username is missing',
    'apisix.yaml:4:5: error: plugin_metadata[0]: id is missing: the name of the plugin',
  ]);
});

test('no key is told, however broken a file is', () => {
  for (const text of [
    'consumers:\n  - username: joe\n    plugins: {key-auth: {key: CANARY}\n#END\n',
    'consumers:\n  - username: joe\n    plugins: {key-auth: {key: [CANARY]}}\n#END\n',
    'consumers:\n  - username: joe\n    plugins: {key-auth: {key: "$env://CANARY"}}\n#END\n',
    'consumers:\n  - username: joe\n    plugins: {key-auth: CANARY}\n#END\n',
  ]) {
    const { findings } = read(text);
    assert.ok(findings.length > 0);
    assert.doesNotMatch(JSON.stringify(findings), /CANARY/);
  }
});

test('native Routes, Services, Consumers and PluginConfigs; the version says whose a kind is', () => {
  const native = (kind: string, name: string, spec: string): string =>
    `apiVersion: outrigger.config/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
  const content = read(
    native('Route', 'r', '{uris: [/a], service_id: s}') +
      native('Service', 's', '{upstream_id: default/foo}') +
      native('Consumer', 'c', '{plugins: {key_auth: {key: k}}}') +
      native('PluginConfig', 'p', '{plugins: {limit_count: {count: "2", time_window: "60"}}}') +
      'apiVersion: v1\nkind: Service\nmetadata: {name: foo}\nspec: {ports: [{port: 80}]}\n',
  );
  assert.deepEqual(findingsOf(content), []);
  assert.deepEqual(namesOf(content), ['Route r', 'Service s', 'Consumer c', 'PluginConfig p', 'Service default/foo']);
  const route = content.objects.find((object) => objectName(object) === 'Route r');
  assert.ok(route?.kind === 'native');
  assert.equal(Route.decode(route.bytes).serviceId, 's');

  const others = read(
    'apiVersion: route.openshift.io/v1\nkind: Route\nmetadata: {name: r}\nspec: {}\n---\n' +
      'apiVersion: apisix.apache.org/v1alpha1\nkind: Consumer\nmetadata: {name: c}\nspec: {}\n',
  );
  assert.deepEqual(
    others.findings.map(({ severity, message }) => `${severity} ${message}`),
    ['note kind Route is not read by this version', 'note kind Consumer is not read by this version'],
  );
  const bare = read('kind: Route\nmetadata: {name: r}\nspec: {uris: [/a]}\n');
  assert.match(findingsOf(bare).join(), /error: Route default\/r: apiVersion is missing; write/);
  const wrong = read(native('Service', 's', '{upstream_id: 7}'));
  assert.deepEqual(
    wrong.refused.map(({ object }) => object),
    ['Service s'],
  );
});

function folder(context: TestContext, files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-standalone-'));
  context.after(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

test('names that no file has, and what two objects may not share, are warnings with their place', (context) => {
  const limit = (count: number): string => `{limit-count: {count: ${count}, time_window: 60, group: g}}`;
  const path = folder(context, {
    'a.yaml': `routes:
  - id: 1
    uri: /a
    upstream_id: 9
    service_id: 8
    plugin_config_id: 7
    plugins: ${limit(1)}
  - id: 2
    uri: /b
    upstream_id: 1
    plugins: ${limit(2)}
#END
`,
    'b.yaml': `upstreams:
  - {id: 1, nodes: {"127.0.0.1:80": 1}}
consumers:
  - {username: jack, plugins: {key-auth: {key: same}}}
  - {username: jill, plugins: {key-auth: {key: same}}}
#END
`,
    'c.yaml':
      'apiVersion: outrigger.config/v1\nkind: Route\nmetadata: {name: n}\nspec:\n  uris: [/n]\n  upstream_id: gone\n',
  });
  const { text, exitCode } = lint(path);
  assert.equal(exitCode, 0);
  assert.deepEqual(
    text
      .replaceAll(`${path}/`, '')
      .split('\n')
      .map((line) => line.replace(/: requests are answered.*/, '')),
    [
      "a.yaml:4:18: warning: routes/1: upstream_id: no file has the Upstream '9'",
      "a.yaml:5:17: warning: routes/1: service_id: no file has the Service '8'",
      "a.yaml:6:23: warning: routes/1: plugin_config_id: no file has the PluginConfig '7'",
      "a.yaml:8:5: warning: Route 2: its limit differs from that of Route 1, which has the same group 'g'; write the same limit, or another group",
      'b.yaml:5:5: warning: Consumer jill: Consumer jack has the same key: only one of the two is known by it; give each its own',
      "c.yaml:6:16: warning: Route n: spec.upstream_id: no file has the Upstream 'gone'",
      '3 files: 0 errors, 6 warnings, 0 notes',
      '',
    ],
  );
});

test('outrigger lint apisix.yaml', (context) => {
  const path = folder(context, { 'apisix.yaml': GOOD, 'half.yaml': GOOD.replace('#END\n', '') });
  const run = (name: string) => spawnSync(process.execPath, [MAIN, 'lint', join(path, name)], { encoding: 'utf8' });
  const whole = run('apisix.yaml');
  assert.deepEqual([whole.status, whole.stdout], [0, '1 file: 0 errors, 0 warnings, 0 notes\n']);
  const half = run('half.yaml');
  assert.equal(half.status, 1);
  assert.match(half.stdout, /error: the last line is not #END/);
});

test('a half-written file and a bad item leave in force what was', async (context) => {
  const path = folder(context, { 'apisix.yaml': GOOD });
  const clock = new FakeClock();
  const source = new DirectorySource({ directory: path, clock, watch: false });
  context.after(() => source.stop());
  await source.start(() => undefined);
  const translator = new Translator();
  const inForce = (): string[] =>
    translator
      .translate(source.objects(), source.refused(), source.held())
      .others.map(({ kind, name }) => `${kind} ${name}`)
      .sort();
  const write = (text: string): void => {
    // Its length differs each time, so that a coarse clock can't hide the change.
    writeFileSync(join(path, 'apisix.yaml'), text);
    clock.advance(1_000);
  };
  const all = inForce();
  assert.equal(all.length, 10);
  write(GOOD.slice(0, 200));
  assert.deepEqual(inForce(), all);
  assert.match(source.findings().map(formatFinding).join('\n'), /nothing of this file changes.*\n.*#END/);
  write(GOOD.replace('type: chash', 'type: cash'));
  assert.deepEqual(inForce(), all);
  write(GOOD.replace('routes:', 'rutes:'));
  assert.deepEqual(inForce(), all);
  write('routes: []\n#END\n');
  assert.deepEqual(inForce(), []);
});
