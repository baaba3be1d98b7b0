import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { measureGroups, type MicroBudget, type MicroCase, type MicroGroup } from './measure.ts';
import { measureMicro, MICRO_NAMES, microFigures } from './micro.ts';

const TINY: MicroBudget = { warmUpMs: 0, batches: 2, batchMs: 0.01 };

function groupOf(one: MicroCase): MicroGroup {
  return { name: 'test', operation: 'time', cases: () => [one] };
}

describe('micro-benchmarks', () => {
  for (const name of MICRO_NAMES) {
    it(`gives figures for ${name}`, () => {
      const figures = microFigures([name], TINY);
      assert.ok(figures.length > 0);
      assert.equal(new Set(figures.map((figure) => figure.name)).size, figures.length, 'names are different');
      for (const { group, name: each, ns, heapBytes } of figures) {
        assert.equal(group, name);
        assert.ok(ns.min > 0 && ns.min <= ns.median && ns.median <= ns.max, `${each}: ${JSON.stringify(ns)}`);
        assert.ok(Number.isFinite(ns.max) && Number.isFinite(heapBytes), each);
      }
    });
  }

  it('makes a table of what is asked for', () => {
    const table = measureMicro(['histogram'], TINY);
    assert.match(table, /^histogram, ns of a latency +median +\(min–max\) +bytes of heap\n {2}\S/);
    assert.doesNotMatch(table, /counters/);
  });

  it('names what there is where it is asked for something else', () => {
    assert.throws(() => measureMicro(['counters', 'nothing'], TINY), {
      name: 'RangeError',
      message: `no micro-benchmark nothing; there are: ${MICRO_NAMES.join(', ')}`,
    });
  });

  it('counts what operations take, and refuses work gone wrong', () => {
    let made: object[] = [];
    const arrays: MicroCase = {
      name: 'arrays',
      operations: 1000,
      prepare: () => (made = []),
      run() {
        for (let i = 0; i < 1000; i++) made.push(new Array<number>(100).fill(i));
        return made.length;
      },
    };
    const [figure] = measureGroups([groupOf(arrays)], TINY);
    assert.ok(figure);
    assert.ok(figure.heapBytes >= 400 && figure.heapBytes < 1200, `${figure.heapBytes} bytes`);
    const wrong: MicroCase = { name: 'wrong', operations: 1, run: () => Number.NaN };
    assert.throws(() => measureGroups([groupOf(wrong)], TINY), /wrong: the work gave NaN/);
  });
});

describe('what micro-benchmarks guard', () => {
  /** The micro-benchmarks that first comments of src name, with the files. */
  const guarded = new Map<string, string[]>();
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  for (const file of sources) {
    const text = readFileSync(join('src', file), 'utf8');
    const first = /^(?:\/\/.*\n)+/.exec(text)?.[0] ?? /\/\*\*[^]*?\*\//.exec(text)?.[0] ?? '';
    for (const [, name = ''] of first.matchAll(/\bmicro ([\w-]+)/g)) {
      guarded.set(name, [...(guarded.get(name) ?? []), file]);
    }
  }

  it('is named by the files of src as they are called', () => {
    for (const [name, files] of guarded) assert.ok(MICRO_NAMES.includes(name), `${files.join(', ')} names ${name}`);
  });

  it('is something, of each', () => {
    assert.deepEqual(
      MICRO_NAMES.filter((name) => !guarded.has(name)),
      [],
    );
  });

  it('is named in full', () => {
    for (const file of sources) {
      const text = readFileSync(join('src', file), 'utf8');
      assert.doesNotMatch(
        text,
        /test\/bench\/micro/,
        `${file}: say which one, "Guarded by \`npm run bench -- micro NAME\`"`,
      );
    }
  });
});
