// Real time: what is tested is that fs.watch sees each kind of change well before the source would look by itself (5 s).
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { DirectorySource } from '../../../src/controlplane/sources/directory.ts';

const service = (port: number): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: s${port}}\nspec: {ports: [{port: ${port}}]}\n`;

/** Starts a source, and gives a way to wait for the ports in force. */
async function start(context: TestContext, directory: string): Promise<(ports: number[]) => Promise<void>> {
  const clock = systemClock();
  const source = new DirectorySource({ directory, clock });
  let wake = (): void => undefined;
  await source.start(() => wake());
  // Neither the source nor the clock keeps the process alive.
  const alive = setInterval(() => undefined, 60_000);
  context.after(() => {
    source.stop();
    clearInterval(alive);
  });
  const inForce = (): number[] =>
    source.objects().flatMap((object) => (object.kind === 'Service' ? object.ports.map(({ port }) => port) : []));
  return async (ports) => {
    const start = clock.refresh();
    while (inForce().join() !== ports.join()) {
      assert.ok(clock.refresh() - start < 2_000, `in force: ${inForce().join()}, expected: ${ports.join()}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
        clock.after(50, resolve);
      });
    }
  };
}

test('edits in place, renames, deletions, and folders that come and go', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-watch-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const until = await start(context, directory);
  writeFileSync(join(directory, 'a.yaml'), service(1));
  await until([1]);
  writeFileSync(join(directory, 'a.yaml'), service(2));
  await until([2]);
  writeFileSync(join(directory, '.next'), service(3));
  renameSync(join(directory, '.next'), join(directory, 'a.yaml'));
  await until([3]);
  mkdirSync(join(directory, 'sub'));
  writeFileSync(join(directory, 'sub', 'b.yaml'), service(4));
  await until([3, 4]);
  writeFileSync(join(directory, 'sub', 'b.yaml'), service(5));
  await until([3, 5]);
  rmSync(join(directory, 'sub'), { recursive: true });
  await until([3]);
  mkdirSync(join(directory, 'sub'));
  writeFileSync(join(directory, 'sub', 'b.yaml'), service(6));
  await until([3, 6]);
  writeFileSync(join(directory, 'sub', 'b.yaml'), service(7));
  await until([3, 7]);
  rmSync(join(directory, 'a.yaml'));
  await until([7]);
});

test('a mounted ConfigMap is swapped', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-configmap-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const swap = (version: string, port: number): void => {
    mkdirSync(join(directory, version));
    writeFileSync(join(directory, version, 'a.yaml'), service(port));
    symlinkSync(version, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  swap('..1', 1);
  symlinkSync('..data/a.yaml', join(directory, 'a.yaml'));
  const until = await start(context, directory);
  await until([1]);
  swap('..2', 2);
  rmSync(join(directory, '..1'), { recursive: true });
  await until([2]);
});
