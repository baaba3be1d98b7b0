// HPACK over many inputs. test/support/fuzz-run.ts says what can be set and how a failure is had again.
import { describe, test } from 'node:test';
import { runFuzz } from '../support/fuzz-run.ts';
import { HPACK, HUFFMAN } from './targets/hpack.ts';

describe('HPACK keeps its rules for any bytes', () => {
  for (const target of [HPACK, HUFFMAN]) {
    test(target.name, (context) => runFuzz(target, (line) => context.diagnostic(line)));
  }
});
