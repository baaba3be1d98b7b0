// The HTTP/1 parsers over many inputs. test/support/fuzz-run.ts says what can be set and how a failure is had again.
import { describe, test } from 'node:test';
import { runFuzz } from '../support/fuzz-run.ts';
import { H1_REQUESTS } from './targets/h1-requests.ts';
import { H1_RESPONSES } from './targets/h1-responses.ts';
import { H1_CHUNKED, H1_FIELDS } from './targets/h1-sections.ts';

describe('HTTP/1 parsers keep their rules for any bytes', () => {
  for (const target of [H1_REQUESTS, H1_RESPONSES, H1_CHUNKED, H1_FIELDS]) {
    test(target.name, (context) => runFuzz(target, (line) => context.diagnostic(line)));
  }
});
