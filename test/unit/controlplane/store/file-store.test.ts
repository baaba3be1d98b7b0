import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openDurableFile, type OpenDurableFile } from '../../../../src/controlplane/store/durable-file.ts';
import { FileStore, type FileStoreOptions } from '../../../../src/controlplane/store/file-store.ts';
import { encodeLine } from '../../../../src/controlplane/store/log-line.ts';
import type { Change, JsonObject, WriteResult } from '../../../../src/controlplane/store/store.ts';

function makeDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-store-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'store');
}

async function open(
  context: TestContext,
  directory: string,
  options: Partial<FileStoreOptions> = {},
  changed: (keys: readonly string[]) => void = () => undefined,
): Promise<FileStore> {
  const store = new FileStore({ directory, ...options });
  await store.start(changed);
  context.after(() => store.stop());
  return store;
}

const put = (key: string, value: JsonObject = {}): Change => ({ op: 'put', key, value });
const remove = (key: string): Change => ({ op: 'delete', key });

const written = (revision: number, createdIndexes: readonly number[]): WriteResult => ({
  ok: true,
  revision,
  createdIndexes,
});

function contents(store: FileStore): unknown[] {
  return Array.from(store.entries(), ({ key, value, createdIndex, modifiedIndex }) => [
    key,
    value,
    createdIndex,
    modifiedIndex,
  ]);
}

function logOf(directory: string): string {
  const names = readdirSync(directory).filter((name) => name.startsWith('log-'));
  return join(directory, names.sort().at(-1) ?? '');
}

test('what was written is there after a start anew, with its revisions, in the order of keys', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory);
  assert.deepEqual(await store.write([put('/b', { n: 1 })]), written(1, [1]));
  assert.deepEqual(await store.write([put('/a', { s: 'ä\n\u2028' }), put('/c')]), written(2, [2, 2]));
  assert.deepEqual(await store.write([put('/b', { n: 2 }), remove('/c')]), written(3, [1, 0]));
  const expected = [
    ['/a', { s: 'ä\n\u2028' }, 2, 2],
    ['/b', { n: 2 }, 1, 3],
  ];
  assert.deepEqual(contents(store), expected);
  await store.stop();
  const again = await open(context, directory);
  assert.deepEqual(contents(again), expected);
  assert.equal(again.revision, 3);
  assert.equal(again.get('/c'), undefined);
});

test('revisions never go back, also where the last write deleted, and over compactions', async (context) => {
  const directory = makeDirectory(context);
  for (let round = 0; round < 4; round++) {
    const store = await open(context, directory, { minLogBytes: 100 });
    assert.equal(store.revision, 2 * round);
    assert.deepEqual(await store.write([put('/a', { round })]), written(2 * round + 1, [2 * round + 1]));
    assert.deepEqual(await store.write([remove('/a')]), written(2 * round + 2, [0]));
    await store.stop();
  }
  const store = await open(context, directory);
  assert.deepEqual(await store.write([put('/a')]), written(9, [9]));
  assert.equal(store.get('/a')?.createdIndex, 9);
});

test('a conditional write is made only over the version that it names', async (context) => {
  const store = await open(context, makeDirectory(context));
  const results = await Promise.all([
    store.write([{ ...put('/a', { by: 1 }), ifModifiedIndex: 0 }]),
    // In the same batch: it sees the write before.
    store.write([{ ...put('/a', { by: 2 }), ifModifiedIndex: 0 }]),
    store.write([{ ...put('/a', { by: 3 }), ifModifiedIndex: 1 }]),
    store.write([put('/b'), { ...remove('/a'), ifModifiedIndex: 1 }]),
  ]);
  assert.deepEqual(results, [
    written(1, [1]),
    { ok: false, key: '/a', modifiedIndex: 1 },
    written(2, [1]),
    { ok: false, key: '/a', modifiedIndex: 2 },
  ]);
  assert.deepEqual(contents(store), [['/a', { by: 3 }, 1, 2]]);
  assert.deepEqual(await store.write([{ ...remove('/a'), ifModifiedIndex: 2 }]), written(3, [0]));
  assert.deepEqual(await store.write([{ ...put('/a'), ifModifiedIndex: 2 }]), {
    ok: false,
    key: '/a',
    modifiedIndex: 0,
  });
});

test('writes that come together share an fsync, and each is told before it is answered', async (context) => {
  let syncs = 0;
  const openFile: OpenDurableFile = async (path, isNew) => {
    const file = await openDurableFile(path, isNew);
    return { ...file, sync: () => (syncs++, file.sync()) };
  };
  const told: string[][] = [];
  const store = await open(context, makeDirectory(context), { openFile }, (keys) => told.push([...keys]));
  syncs = 0;
  const writes = Array.from({ length: 500 }, async (_, i) => {
    await store.write([put(`/${i}`)]);
    assert.ok(told.some((keys) => keys.includes(`/${i}`)));
  });
  await Promise.all(writes);
  assert.ok(syncs <= 3, `${syncs} syncs`);
  assert.equal(told.flat().length, 500);
});

test('nothing of a write is seen before it is on the disk, nor if it fails; later ones work', async (context) => {
  const directory = makeDirectory(context);
  let failing: 'write' | 'sync' | undefined;
  let hold: Promise<void> | undefined;
  const openFile: OpenDurableFile = async (path, isNew) => {
    const file = await openDurableFile(path, isNew);
    return {
      ...file,
      write: async (bytes, offset) => {
        if (failing !== 'write') return file.write(bytes, offset);
        await file.write(bytes.subarray(0, bytes.length >> 1), offset);
        throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
      },
      sync: async () => {
        await hold;
        if (failing === 'sync') throw new Error('EIO: i/o error, fsync');
        await file.sync();
      },
      // As on a disk that has gone: what the failed write left can't be cut either.
      truncate: (length) => (failing === undefined ? file.truncate(length) : Promise.reject(new Error('EIO'))),
    };
  };
  const notices: string[] = [];
  const told: string[] = [];
  const store = await open(
    context,
    directory,
    { openFile, onNotice: (_level, message) => notices.push(message) },
    (keys) => told.push(...keys),
  );
  let release = (): void => undefined;
  hold = new Promise((resolve) => (release = resolve));
  const slow = store.write([put('/a', { n: 1 })]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(store.get('/a'), undefined);
  assert.equal(store.revision, 0);
  release();
  hold = undefined;
  await slow;
  for (const kind of ['write', 'sync'] as const) {
    failing = kind;
    const [one, two] = [store.write([put('/a', { n: 2 })]), store.write([put('/b')])];
    await assert.rejects(one, kind === 'write' ? /can't be written: ENOSPC/ : /can't be written: EIO/);
    await assert.rejects(two);
    assert.deepEqual(contents(store), [['/a', { n: 1 }, 1, 1]]);
    await assert.rejects(store.write([put('/c')]), /can't be written/);
  }
  failing = undefined;
  assert.deepEqual(told, ['/a']);
  assert.ok(notices.length >= 2);
  assert.deepEqual(await store.write([put('/d')]), written(2, [2]));
  const before = contents(store);
  await store.stop();
  const again = await open(context, directory);
  assert.deepEqual(contents(again), before);
  assert.deepEqual(await again.write([put('/e')]), written(3, [3]));
});

test('a torn tail is cut, wherever it was torn', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory);
  await store.write([put('/a', { n: 1 })]);
  await store.stop();
  const path = logOf(directory);
  const whole = readFileSync(path);
  const next = encodeLine({ revision: 2, durable: 1, changes: [put('/b')] });
  const zeros = Buffer.concat([Buffer.from(next.slice(0, 20)), Buffer.alloc(50), Buffer.from(next.slice(70))]);
  const behind = Buffer.from(encodeLine({ revision: 3, durable: 1, changes: [put('/c')] }));
  const tails = [
    ...Array.from({ length: next.length - 2 }, (_, i) => Buffer.from(next.slice(0, i + 1))),
    Buffer.alloc(4096),
    zeros,
    // The batch had two lines, of which only the second reached the disk.
    Buffer.concat([zeros, behind]),
  ];
  for (const tail of tails) {
    writeFileSync(path, whole);
    appendFileSync(path, tail);
    const again = new FileStore({ directory });
    await again.start(() => undefined);
    assert.deepEqual(contents(again), [['/a', { n: 1 }, 1, 1]], tail.toString());
    assert.equal(again.revision, 1);
    await again.stop();
    assert.deepEqual(readFileSync(path), whole);
  }
});

test('a whole last line that only lacks its end counts', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory);
  await store.write([put('/a')]);
  await store.stop();
  truncateSync(logOf(directory), statSync(logOf(directory)).size - 1);
  const again = await open(context, directory);
  await again.write([put('/b')]);
  await again.stop();
  assert.equal(contents(await open(context, directory)).length, 2);
});

test('the header of a new segment may be torn', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory);
  await store.write([put('/a')]);
  await store.stop();
  for (const torn of ['', '{"sum":"0123']) {
    writeFileSync(join(directory, 'log-00000000000000000002.jsonl'), torn);
    // As versions left it that named no current one.
    rmSync(join(directory, 'current.jsonl'));
    const notices: string[] = [];
    const again = await open(context, directory, { onNotice: (_level, message) => notices.push(message) });
    assert.equal(again.revision, 1);
    assert.match(notices.join('\n'), /log-0*2\.jsonl: has no whole first line, and is begun anew/);
    await again.stop();
  }
  const again = await open(context, directory);
  assert.deepEqual(await again.write([put('/b')]), written(2, [2]));
});

test('a log file that is missing altogether, or empty, is an error', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory, { minLogBytes: 200 });
  for (let i = 0; i < 6; i++) await store.write([put(`/${i}`)]);
  await store.stop();
  const path = logOf(directory);
  const whole = readFileSync(path);
  const refused = async (expected: RegExp): Promise<void> =>
    assert.rejects(
      new FileStore({ directory }).start(() => undefined),
      expected,
    );
  for (const cut of ['', '{"sum":"0123']) {
    writeFileSync(path, cut);
    await refused(/log-\d+\.jsonl:1: the log file was cut off, with all writes from \d+ on; restore .*: rm .*current/);
    assert.equal(readFileSync(path, 'utf8'), cut);
  }
  rmSync(path);
  await refused(/log-\d+\.jsonl:1: the log file is missing, with all writes from \d+ on; restore .*: rm .*current/);
  // Both fixes that it names work.
  writeFileSync(path, whole);
  const again = new FileStore({ directory });
  await again.start(() => undefined);
  assert.equal(again.revision, 6);
  await again.stop();
  rmSync(path);
  rmSync(join(directory, 'current.jsonl'));
  const later = await open(context, directory);
  assert.ok(later.revision < 6 && later.revision > 0, String(later.revision));
  await later.write([put('/later')]);
});

test('the name of the current log file is not lost over failures, and one of an older version is made', async (context) => {
  const directory = makeDirectory(context);
  let isFailing = false;
  const openFile: OpenDurableFile = async (path, isNew) => {
    if (isFailing && path.includes('current')) throw new Error('ENOSPC');
    return openDurableFile(path, isNew);
  };
  const store = await open(context, directory, { minLogBytes: 1, openFile });
  isFailing = true;
  // Only what comes after it needs another log file.
  await store.write([put('/a')]);
  await assert.rejects(store.write([put('/b')]), /ENOSPC/);
  isFailing = false;
  assert.deepEqual(await store.write([put('/c')]), written(2, [2]));
  await store.stop();
  rmSync(join(directory, 'current.jsonl'));
  const again = await open(context, directory);
  assert.equal(again.revision, 2);
  assert.ok(existsSync(join(directory, 'current.jsonl')));
  await again.stop();
  writeFileSync(join(directory, 'current.jsonl'), 'x');
  await assert.rejects(
    new FileStore({ directory }).start(() => undefined),
    /current\.jsonl:1: the line is damaged; restore/,
  );
});

test('many writes of one key are told when the key came to be', async (context) => {
  const store = await open(context, makeDirectory(context));
  const results = await Promise.all(
    Array.from({ length: 200 }, (_, i) => store.write([i % 3 === 2 ? remove('/a') : put('/a', { i })])),
  );
  for (const [i, result] of results.entries()) {
    const created = i % 3 === 2 ? 0 : i + 1 - (i % 3);
    assert.deepEqual(result, written(i + 1, [created]));
  }
});

test('damage is an error with file, line and fix, and nothing is changed', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory);
  for (let i = 1; i <= 3; i++) await store.write([put(`/${i}`, { n: i })]);
  await store.stop();
  const path = logOf(directory);
  const whole = readFileSync(path, 'latin1');
  const lines = whole.split('\n');
  const damages: readonly [string, RegExp][] = [
    // One digit, in a line that was acknowledged.
    [whole.replace('"n":2', '"n":7'), /jsonl:3: the write 2 is damaged; .*truncate -s \d+ /],
    [whole.replace('"n":3', '"n":7'), /jsonl:4: the write 3 is damaged/],
    [[lines[0], lines[1], lines[3], ''].join('\n'), /jsonl:3: the write 2 is damaged/],
    // Zeros in a line of which a later one says that it was on the disk.
    [whole.replace('"n":2', '\0\0\0\0\0'), /jsonl:3: the write 2 is damaged/],
    [whole.replace(lines[0] ?? '', encodeLine({ format: 9, from: 1 }).trim()), /is of format 9, this version reads 1/],
  ];
  for (const [text, expected] of damages) {
    writeFileSync(path, text, 'latin1');
    await assert.rejects(
      new FileStore({ directory }).start(() => undefined),
      expected,
    );
    assert.equal(readFileSync(path, 'latin1'), text);
  }
  // The fix that it names works.
  writeFileSync(path, whole.replace('"n":2', '"n":7'), 'latin1');
  const error: unknown = await new FileStore({ directory }).start(() => undefined).catch((reason: unknown) => reason);
  truncateSync(path, Number(/truncate -s (\d+)/.exec(String(error))?.[1]));
  assert.equal((await open(context, directory)).revision, 1);
});

test('a missing file is told', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory, { minLogBytes: 1 });
  await store.write([put('/a')]);
  await store.write([put('/b')]);
  await store.stop();
  const snapshot = join(directory, 'snapshot.jsonl');
  const text = readFileSync(snapshot, 'utf8');
  rmSync(snapshot);
  await assert.rejects(
    new FileStore({ directory }).start(() => undefined),
    /snapshot\.jsonl, is missing/,
  );
  writeFileSync(snapshot, text.replace('"key":"/a"', '"key":"/x"'));
  await assert.rejects(
    new FileStore({ directory }).start(() => undefined),
    /snapshot\.jsonl:2: the line is damaged; /,
  );
  writeFileSync(snapshot, text.split('\n').slice(0, 1).join('\n'));
  await assert.rejects(
    new FileStore({ directory }).start(() => undefined),
    /snapshot\.jsonl:2: 0 of \d entries/,
  );
});

test('the log is compacted while writes go on, and old files go', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory, { minLogBytes: 2_000 });
  for (let i = 0; i < 40; i++) {
    await Promise.all(Array.from({ length: 10 }, (_, k) => store.write([put(`/${k}`, { i, text: 'x'.repeat(50) })])));
  }
  const before = contents(store);
  await store.stop();
  const names = readdirSync(directory).sort();
  assert.equal(names.length, 3, names.join(' '));
  assert.ok(statSync(logOf(directory)).size < 10_000);
  const again = await open(context, directory);
  assert.deepEqual(contents(again), before);
  assert.equal(again.revision, 400);
});

test('a compaction that fails harms nothing', async (context) => {
  const directory = makeDirectory(context);
  let fails = true;
  const openFile: OpenDurableFile = (path, isNew) =>
    fails && path.includes('snapshot') ? Promise.reject(new Error('ENOSPC')) : openDurableFile(path, isNew);
  const notices: string[] = [];
  const options = { minLogBytes: 300, openFile, onNotice: (_: string, message: string) => notices.push(message) };
  const store = await open(context, directory, options);
  for (let i = 0; i < 20; i++) await store.write([put(`/${i}`)]);
  assert.ok(notices.some((notice) => notice.includes("can't be compacted: ENOSPC")));
  fails = false;
  for (let i = 20; i < 40; i++) await store.write([put(`/${i}`)]);
  await store.stop();
  assert.ok(existsSync(join(directory, 'snapshot.jsonl')));
  assert.ok(readdirSync(directory).length <= 4, readdirSync(directory).join(' '));
  assert.equal(contents(await open(context, directory)).length, 40);
});

test('files and directory are for their owner only', async (context) => {
  const directory = makeDirectory(context);
  const store = await open(context, directory, { minLogBytes: 1 });
  await store.write([put('/a')]);
  await store.stop();
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
});

test('a directory that cannot be had is told', async (context) => {
  const directory = makeDirectory(context);
  writeFileSync(directory, '');
  await assert.rejects(
    new FileStore({ directory }).start(() => undefined),
    /can't use the store .*: .*store is a file; name a directory/,
  );
  await assert.rejects(
    new FileStore({ directory: join(directory, 'x', 'y') }).start(() => undefined),
    /store is a file; name a directory/,
  );
  await assert.rejects(new FileStore({ directory }).write([put('/a')]), /the store is stopped/);
});
