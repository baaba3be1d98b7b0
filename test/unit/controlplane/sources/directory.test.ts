import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { DirectorySource } from '../../../../src/controlplane/sources/directory.ts';
import { Translator } from '../../../../src/controlplane/translate/translator.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

/** A directory source that looks when the test moves the clock. */
class Fixture {
  readonly directory: string;
  readonly source: DirectorySource;
  changes = 0;
  private readonly clock = new FakeClock();

  constructor(context: TestContext) {
    this.directory = mkdtempSync(join(tmpdir(), 'outrigger-directory-'));
    this.source = new DirectorySource({ directory: this.directory, clock: this.clock, watch: false });
    context.after(() => {
      this.source.stop();
      rmSync(this.directory, { recursive: true, force: true });
    });
  }

  write(name: string, text: string): void {
    // Another file, as an editor's save makes it, so that coarse timestamps can't hide the change.
    const next = join(this.directory, `.${name.replaceAll('/', '_')}.next`);
    writeFileSync(next, text);
    renameSync(next, join(this.directory, name));
  }

  async start(): Promise<void> {
    await this.source.start(() => this.changes++);
  }

  look(): void {
    this.clock.advance(1_000);
  }

  /** Services in force with their first port. */
  services(): string[] {
    const all = [...this.source.objects(), ...this.source.held()];
    const byFile = all.sort((a, b) => (a.origin.file < b.origin.file ? -1 : a.origin.file > b.origin.file ? 1 : 0));
    return byFile.map((object) =>
      object.kind === 'Service' ? `${object.name} ${object.ports[0]?.port ?? '-'}` : object.kind,
    );
  }

  refused(): string[] {
    return this.source.refused().map(({ object }) => object);
  }

  findings(): string[] {
    return this.source.findings().map((finding) => formatFinding(finding).replaceAll(`${this.directory}/`, ''));
  }
}

const service = (name: string, port: number): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: ${port}}]}\n`;

test('reads .yaml, .yml and .json of the directory and its subfolders, in the order of their names', async (context) => {
  const fixture = new Fixture(context);
  mkdirSync(join(fixture.directory, 'sub'));
  fixture.write('b.yml', service('b', 2));
  fixture.write('a.yaml', service('a', 1));
  fixture.write(
    'sub/c.json',
    '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}, "spec": {"ports": [{"port": 3}]}}',
  );
  fixture.write('d.txt', 'not read: [');
  fixture.write('.hidden.yaml', 'not read: [');
  await fixture.start();
  assert.deepEqual(fixture.services(), ['a 1', 'b 2', 'c 3']);
  assert.deepEqual(fixture.findings(), []);
});

test('edits, new files and deletions are seen; nothing is told where nothing changed', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', service('a', 1));
  await fixture.start();
  fixture.look();
  assert.equal(fixture.changes, 0);
  const [before] = fixture.source.objects();
  fixture.write('b.yaml', service('b', 2));
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 1', 'b 2']);
  assert.equal(fixture.source.objects()[0], before);
  fixture.write('a.yaml', service('a', 3));
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 3', 'b 2']);
  rmSync(join(fixture.directory, 'a.yaml'));
  fixture.look();
  assert.deepEqual(fixture.services(), ['b 2']);
  assert.equal(fixture.changes, 3);
});

test('a file that is no valid YAML changes nothing, and disturbs no other', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', `${service('a', 1)}---\n${service('a2', 1)}`);
  fixture.write('b.yaml', service('b', 2));
  await fixture.start();
  fixture.write('a.yaml', `${service('a', 9)}---\n${service('a2', 1).replace('[{', '[[{')}---\n${service('a3', 1)}`);
  fixture.write('b.yaml', service('b', 3));
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 1', 'a2 1', 'b 3']);
  const [note, ...errors] = fixture.findings();
  assert.equal(
    note,
    'a.yaml:1:1: note: nothing of this file changes: what was in force stays so (Service default/a, Service default/a2)',
  );
  assert.ok(errors.length > 0);
  for (const error of errors) assert.match(error, /^a\.yaml:\d+:\d+: error: /);
  fixture.write('a.yaml', service('a', 5));
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 5', 'b 3']);
  assert.deepEqual(fixture.findings(), []);
});

test('the same where the file was never wholly good: a refused object beside the others', async (context) => {
  const fixture = new Fixture(context);
  const refused = 'apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: f}\nspec: {retires: 3}\n';
  fixture.write('f.yaml', `${service('f', 7400)}---\n${refused}`);
  await fixture.start();
  assert.deepEqual(fixture.services(), ['f 7400']);
  assert.deepEqual(fixture.refused(), ['ApisixUpstream default/f']);
  fixture.write('f.yaml', `${service('f', 7400).replace('[{', '[[{')}---\n${refused}`);
  fixture.look();
  assert.deepEqual(fixture.services(), ['f 7400']);
  assert.deepEqual(fixture.refused(), ['ApisixUpstream default/f']);
  writeFileSync(join(fixture.directory, '.next'), Buffer.from(`# caf\u00e9\n${service('f', 7401)}`, 'latin1'));
  renameSync(join(fixture.directory, '.next'), join(fixture.directory, 'f.yaml'));
  fixture.look();
  assert.deepEqual(fixture.services(), ['f 7400']);
});

test('a refused object is named; the others of its file apply at once, and what is gone is gone', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', [service('a', 1), service('a2', 1), service('a3', 1)].join('---\n'));
  await fixture.start();
  fixture.write('a.yaml', `${service('a', 9)}---\n${service('a2', 70_000)}---\n${service('a4', 4)}`);
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 9', 'a4 4']);
  assert.deepEqual(fixture.refused(), ['Service default/a2']);
  // What is held of it elsewhere is held on through a text that says nothing of it.
  fixture.write('a.yaml', 'kind: [');
  fixture.look();
  assert.deepEqual(fixture.refused(), ['Service default/a2']);
  fixture.write('a.yaml', service('a', 9));
  fixture.look();
  assert.deepEqual([fixture.services(), fixture.refused(), fixture.findings()], [['a 9'], [], []]);
});

for (const [what, text] of [
  ['kind', service('a', 2).replace('kind: Service', 'kind: Servce')],
  ['version', 'just text\n'],
  ['key kind', service('a', 2).replace('kind:', 'knd:')],
  ['name', service('a', 2).replace('name: a', 'name: 5')],
  ['list', '{apiVersion: v1, kind: List, items: 5}\n'],
] as const) {
  test(`an object whose ${what} can't be read may be any that the text names no more: those stay`, async (context) => {
    const fixture = new Fixture(context);
    fixture.write('a.yaml', [service('a', 1), service('b', 1), service('c', 1)].join('---\n'));
    await fixture.start();
    fixture.write('a.yaml', [text, service('b', 2), service('c', 70_000)].join('---\n'));
    fixture.look();
    assert.deepEqual(fixture.services().sort(), ['a 1', 'b 2']);
    assert.deepEqual(fixture.refused(), ['Service default/c']);
    assert.match(fixture.findings().join('\n'), /note: .*no kind or name to be read: .*\(Service default\/a\)$/m);
    fixture.write('a.yaml', service('b', 3));
    fixture.look();
    assert.deepEqual([fixture.services(), fixture.refused()], [['b 3'], []]);
  });
}

test('a file that was never right gives the objects that are', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', `${service('a', 1)}---\n${service('b', 70_000)}`);
  await fixture.start();
  assert.deepEqual(fixture.services(), ['a 1']);
  fixture.write('a.yaml', `${service('a', 2)}---\n${service('b', 70_001)}`);
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 2']);
});

for (const [what, text] of [
  ['only comments', '# nothing\n  # here\n'],
  ['a mark between documents', '---\n'],
  ['marks and comments', '# a\n---\n# b\n---\n...\n'],
  ['null', 'null\n'],
]) {
  test(`a file that becomes ${what} keeps its content, as an empty one does`, async (context) => {
    const fixture = new Fixture(context);
    fixture.write('a.yaml', [service('a', 1), service('b', 70_000)].join('---\n'));
    await fixture.start();
    fixture.write('a.yaml', text ?? '');
    fixture.look();
    assert.deepEqual([fixture.services(), fixture.refused()], [['a 1'], ['Service default/b']]);
    assert.deepEqual(fixture.findings(), [
      'a.yaml:1:1: warning: holds no object; its last content stays in force; delete the file to remove its objects',
    ]);
    fixture.write('a.yaml', `# a\n---\n${service('c', 1)}`);
    fixture.look();
    assert.deepEqual([fixture.services(), fixture.refused(), fixture.findings()], [['c 1'], [], []]);
  });
}

for (const [what, metadata] of [
  ['a misspelt namespace', '{name: b, namepsace: shop}'],
  ['a misspelt name', '{nmae: other}'],
  ['a namespace beside metadata', '{name: other}\nnamespace: default'],
] as const) {
  test(`an object with ${what} may be any that the text names no more`, async (context) => {
    const fixture = new Fixture(context);
    fixture.write('a.yaml', [service('a', 1), service('b', 1)].join('---\n'));
    await fixture.start();
    fixture.write('a.yaml', [service('a', 2), service('b', 2).replace('{name: b}', metadata)].join('---\n'));
    fixture.look();
    assert.deepEqual(fixture.services(), ['a 2', 'b 1']);
    // What was likely meant is told too: nothing is guessed for it.
    assert.equal(fixture.refused().length, 1);
    fixture.write('a.yaml', service('a', 3));
    fixture.look();
    assert.deepEqual([fixture.services(), fixture.refused()], [['a 3'], []]);
  });
}

for (const [what, text] of [
  ['a nameless object', `${service('a', 1)}---\nhello\n`],
  ['a misspelt kind', `${service('a', 1)}---\n${service('c', 1).replace('kind: Service', 'kind: Servce')}`],
  ['no valid YAML', 'kind: ['],
  ['nothing', ''],
  ['another encoding', undefined],
] as const) {
  test(`an object that moves to another file is the one that is read there: ${what} in its old file`, async (context) => {
    const fixture = new Fixture(context);
    const translator = new Translator();
    const inForce = (): string[] => {
      const { source } = fixture;
      const { services, findings } = translator.translate(source.objects(), source.refused(), source.held());
      assert.doesNotMatch(findings.map(formatFinding).join('\n'), /stands in/);
      return services.map(({ name, ports }) => `${name} ${ports.join()}`);
    };
    fixture.write('x.yaml', [service('a', 1), service('b', 7)].join('---\n'));
    await fixture.start();
    assert.deepEqual(inForce(), ['default/a 1', 'default/b 7']);
    if (text === undefined) writeFileSync(join(fixture.directory, 'x.yaml'), Buffer.from('# caf\u00e9', 'latin1'));
    else fixture.write('x.yaml', text);
    fixture.look();
    assert.deepEqual(inForce(), ['default/a 1', 'default/b 7']);
    fixture.write('a.yaml', service('b', 8));
    fixture.look();
    assert.deepEqual(inForce(), ['default/a 1', 'default/b 8']);
    // Both files have errors now: what was in force stays so.
    fixture.write('a.yaml', 'kind: [');
    fixture.look();
    assert.deepEqual(inForce(), ['default/a 1', 'default/b 8']);
    fixture.write('a.yaml', service('b', 9));
    fixture.write('x.yaml', service('a', 2));
    fixture.look();
    assert.deepEqual(inForce(), ['default/a 2', 'default/b 9']);
  });
}

test('a refused object that moves, corrected, out of a file with an error is the one that is read', async (context) => {
  const fixture = new Fixture(context);
  const translator = new Translator();
  const inForce = (): string[] => {
    const { source } = fixture;
    const { services } = translator.translate(source.objects(), source.refused(), source.held());
    return services.map(({ name, ports }) => `${name} ${ports.join()}`);
  };
  fixture.write('x.yaml', service('b', 7));
  await fixture.start();
  assert.deepEqual(inForce(), ['default/b 7']);
  fixture.write('x.yaml', service('b', 70_000));
  fixture.look();
  assert.deepEqual(inForce(), ['default/b 7']);
  fixture.write('x.yaml', 'hello\n');
  fixture.look();
  assert.deepEqual(inForce(), ['default/b 7']);
  fixture.write('a.yaml', service('b', 8));
  fixture.look();
  assert.deepEqual(inForce(), ['default/b 8']);
});

test('a folder that can not be listed holds what it had, and is read when it is back', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', service('a', 1));
  await fixture.start();
  const away = `${fixture.directory}.away`;
  renameSync(fixture.directory, away);
  fixture.look();
  fixture.look();
  assert.deepEqual([fixture.source.objects().length, fixture.source.held().length], [0, 1]);
  renameSync(away, fixture.directory);
  fixture.look();
  assert.deepEqual([fixture.source.objects().length, fixture.source.held().length], [1, 0]);
  assert.equal(fixture.changes, 2);
});

test('a file that was emptied keeps its content until it is deleted', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', service('a', 1));
  await fixture.start();
  fixture.write('a.yaml', '');
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 1']);
  assert.deepEqual(fixture.findings(), [
    'a.yaml:1:1: warning: is empty; its last content stays in force; delete the file to remove its objects',
  ]);
  rmSync(join(fixture.directory, 'a.yaml'));
  fixture.look();
  assert.deepEqual(fixture.services(), []);
  assert.deepEqual(fixture.findings(), []);
});

test('a mounted ConfigMap: links through ..data, swapped at once', async (context) => {
  const fixture = new Fixture(context);
  const { directory } = fixture;
  const version = (name: string, port: number): void => {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'a.yaml'), service('a', port));
    symlinkSync(name, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  version('..2024_1', 1);
  symlinkSync('..data/a.yaml', join(directory, 'a.yaml'));
  await fixture.start();
  assert.deepEqual(fixture.services(), ['a 1']);
  version('..2024_2', 2);
  rmSync(join(directory, '..2024_1'), { recursive: true });
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 2']);
});

test('links in a circle, and to nowhere', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', service('a', 1));
  symlinkSync('.', join(fixture.directory, 'loop'));
  symlinkSync('nowhere.yaml', join(fixture.directory, 'b.yaml'));
  await fixture.start();
  assert.deepEqual(fixture.services(), ['a 1']);
});

test('a directory that is not there is refused at start, and keeps its content when it goes later', async (context) => {
  const fixture = new Fixture(context);
  const missing = new DirectorySource({
    directory: join(fixture.directory, 'none'),
    clock: new FakeClock(),
    watch: false,
  });
  await assert.rejects(
    missing.start(() => undefined),
    /can't read the directory .*none: it does not exist; create it or name another/,
  );
  fixture.write('a.yaml', service('a', 1));
  await fixture.start();
  rmSync(fixture.directory, { recursive: true });
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 1']);
  assert.equal(fixture.findings().length, 1);
  assert.match(fixture.findings()[0] ?? '', /error: can't be listed: /);
  mkdirSync(fixture.directory);
  fixture.write('b.yaml', service('b', 2));
  fixture.look();
  assert.deepEqual(fixture.services(), ['b 2']);
  assert.deepEqual(fixture.findings(), []);
});

test('a file that may not be read keeps its last content', { skip: process.getuid?.() === 0 }, async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', service('a', 1));
  await fixture.start();
  chmodSync(join(fixture.directory, 'a.yaml'), 0);
  fixture.look();
  assert.deepEqual(fixture.services(), ['a 1']);
  assert.match(fixture.findings().join('\n'), /error: can't be read: /);
});

test('a file in another encoding than UTF-8 is refused, and keeps its last good content', async (context) => {
  const fixture = new Fixture(context);
  fixture.write('a.yaml', `\ufeff${service('a', 1)}`);
  await fixture.start();
  assert.deepEqual(fixture.services(), ['a 1'], 'a byte order mark is no harm');
  for (const encoding of ['latin1', 'utf16le'] as const) {
    writeFileSync(join(fixture.directory, '.next'), Buffer.from(`\ufeff# caf\u00e9\n${service('a', 2)}`, encoding));
    renameSync(join(fixture.directory, '.next'), join(fixture.directory, 'a.yaml'));
    fixture.look();
    assert.deepEqual(fixture.services(), ['a 1']);
    assert.match(
      fixture.findings().join('\n'),
      /^a\.yaml:1:1: error: can't be read: it is not UTF-8; save it in that encoding$/m,
    );
  }
  fixture.write('a.yaml', service('a', 3));
  fixture.look();
  assert.deepEqual([fixture.services(), fixture.findings()], [['a 3'], []]);
});
