// The small readers of text over many inputs. test/support/fuzz-run.ts says what can be set and how a failure is had
// again.
import { describe, test } from 'node:test';
import { runFuzz } from '../support/fuzz-run.ts';
import { TEXT_TARGETS } from './targets/text.ts';

describe('readers of text keep their rules for any text', () => {
  for (const target of TEXT_TARGETS) {
    test(target.name, (context) => runFuzz(target, (line) => context.diagnostic(line)));
  }
});
