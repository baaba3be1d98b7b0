import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Logger } from '../../../src/base/log.ts';
import { createStateStore, decodeState, encodeState, STATE_FILE } from '../../../src/control/state-store.ts';
import type { SavedState, StateStore } from '../../../src/control/state-store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { encode } from '../../support/resources.ts';

const root = mkdtempSync(join(tmpdir(), 'outrigger-state-'));
after(() => rmSync(root, { recursive: true, force: true }));

const encodedSidecar = Buffer.from(encode('Sidecar', { listeners: ['l/1'] }));
const encodedUpstream = Buffer.from(encode('Upstream', { desc: 'é' }));
const STATE: SavedState = {
  server: '127.0.0.1:15010',
  resources: [
    { kind: 'Sidecar', name: 'default', version: '1', serverVersion: '1', bytes: encodedSidecar },
    { kind: 'Upstream', name: '__proto__', version: '2', serverVersion: '', bytes: encodedUpstream },
  ],
};

let dirs = 0;
function open(
  dir = join(root, `d${++dirs}`, 'deep'),
  nodeId = 'n',
): {
  store: StateStore;
  clock: FakeClock;
  path: string;
  dir: string;
  warnings: string[];
} {
  const clock = new FakeClock();
  const warnings: string[] = [];
  const logger: Logger = {
    level: 'info',
    isOn: () => true,
    log: (level, fields, message) => void warnings.push(`${level} ${message} ${JSON.stringify(fields['reason'])}`),
  };
  return { store: createStateStore({ dir, nodeId, clock, logger }), clock, dir, path: join(dir, STATE_FILE), warnings };
}

describe('state store', () => {
  it('gives back what was saved, in a file for nobody else', async () => {
    const { store, path, dir, warnings } = open();
    assert.equal(store.load(), undefined);
    store.save(() => STATE);
    await store.flush();
    assert.deepEqual(store.load(), STATE);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(dir), [STATE_FILE]);
    assert.deepEqual(warnings, []);
  });

  it('leaves secrets out', () => {
    const bytes = Buffer.from('key');
    const secret = { kind: 'Secret', name: 's', version: '', serverVersion: '', bytes } as const;
    const text = encodeState('n', { server: '', resources: [...STATE.resources, secret] });
    assert.ok(!text.includes('Secret') && !text.includes(bytes.toString('base64')));
  });

  it('leaves out Consumers with a key, in any place, and keeps those without', () => {
    const of = (name: string, more: object): SavedState['resources'][number] => {
      const bytes = Buffer.from(encode('Consumer', { name, ...more }));
      return { kind: 'Consumer', name, version: '1', serverVersion: '1', bytes };
    };
    const resources = [
      of('jack', { plugins: { keyAuth: { key: 'jack-key' } } }),
      of('plain', { desc: 'none' }),
      of('jill', { credentials: [{ id: 'a', keyAuth: { key: 'jill-key' } }] }),
    ];
    const state = decodeState('n', encodeState('n', { server: '', resources }));
    assert.ok(typeof state !== 'string');
    assert.deepEqual(
      state.resources.map(({ name, serverVersion }) => [name, serverVersion]),
      [['plain', '1']],
    );
  });

  it('writes a large configuration in many turns, as whole as in one, and not too often', async () => {
    const { store, clock, path } = open();
    const resources = Array.from({ length: 5_001 }, (_, i) => {
      const left = { kind: 'Secret', name: `s${i}`, version: '', serverVersion: '', bytes: encodedUpstream } as const;
      return i % 3 === 0 ? left : { ...left, kind: 'Upstream' as const };
    });
    const state = { server: 'é', resources };
    let turns = 0;
    const counting = (): void => {
      turns++;
      timer = setImmediate(counting);
    };
    let timer = setImmediate(counting);
    store.save(() => state);
    await store.flush();
    clearImmediate(timer);
    assert.ok(turns > 20, String(turns));
    assert.equal(readFileSync(path, 'utf8'), encodeState('n', state));
    assert.equal(store.load()?.resources.length, 3_334);
    let made = 0;
    store.save(() => {
      made++;
      return state;
    });
    clock.advance(499);
    assert.equal(made, 0);
    clock.advance(2);
    assert.equal(made, 1);
    await store.flush();
  });

  it('writes once for what changes within 200 ms, as it is then', async () => {
    const { store, clock, path } = open();
    let made = 0;
    const save = (version: string): void =>
      store.save(() => {
        made++;
        return { ...STATE, server: version };
      });
    save('a');
    clock.advance(150);
    save('b');
    assert.equal(made, 0);
    clock.advance(50);
    assert.equal(made, 1);
    await store.flush();
    assert.match(readFileSync(path, 'utf8'), /"server":"b"/);
    await store.flush();
    assert.equal(made, 1);
  });

  it('replaces a file that a crash left behind with another mode', async () => {
    const { store, path, dir } = open();
    store.save(() => STATE);
    await store.flush();
    writeFileSync(join(dir, `${STATE_FILE}.tmp`), 'half');
    chmodSync(join(dir, `${STATE_FILE}.tmp`), 0o644);
    store.save(() => STATE);
    await store.flush();
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(store.load(), STATE);
  });

  it('ignores a torn file at every length, and a changed byte', () => {
    const text = encodeState('n', STATE);
    assert.deepEqual(decodeState('n', text), STATE);
    for (let length = 0; length < text.length; length++) {
      assert.equal(typeof decodeState('n', text.slice(0, length)), 'string', `${length} bytes`);
    }
    assert.equal(decodeState('n', text.replace('"version":"1"', '"version":"7"')), 'its checksum is wrong');
  });

  it('ignores what is not its own, and says why', () => {
    for (const [text, reason] of [
      ['null', /format/],
      ['[]', /format/],
      ['{"format":"outrigger-state/0"}', /format/],
      ['{"format":"outrigger-state/1"}', /checksum/],
      [encodeState('another', STATE), /belongs to node \\"another/],
    ] as const) {
      const { store, path, warnings } = open(mkdtempSync(join(root, 'f')));
      writeFileSync(path, text);
      assert.equal(store.load(), undefined);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, reason);
    }
  });

  it('reports a directory that cannot be written, and goes on', async () => {
    writeFileSync(join(root, 'file'), '');
    const { store, warnings } = open(join(root, 'file', 'below'));
    store.save(() => STATE);
    await store.flush();
    assert.match(warnings[0]!, /^error the configuration could not be saved/);
  });
});

describe('the folder of the state', () => {
  it(
    'that a file system refuses with ENOENT is an error in the log, not an endless try',
    { skip: process.platform !== 'linux' },
    async () => {
      const { store, warnings } = open('/proc/outrigger-nowhere/deep');
      store.save(() => STATE);
      await store.flush();
      assert.match(warnings.join(), /error the configuration could not be saved/);
    },
  );

  it('that is a file is one too', async () => {
    const file = join(root, 'file');
    writeFileSync(file, '');
    for (const dir of [file, join(file, 'below')]) {
      const { store, warnings } = open(dir);
      store.save(() => STATE);
      await store.flush();
      assert.match(warnings.join(), /error the configuration could not be saved/);
    }
  });
});
