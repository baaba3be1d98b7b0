// HTTP/2 framing and both ends of a connection over many inputs. test/support/fuzz-run.ts says what can be set and how a
// failure is had again.
import { describe, test } from 'node:test';
import { runFuzz } from '../support/fuzz-run.ts';
import { H2_CLIENT } from './targets/h2-client.ts';
import { H2_FRAMES } from './targets/h2-frames.ts';
import { H2_SERVER } from './targets/h2-server.ts';

describe('HTTP/2 connections keep their rules for any bytes', () => {
  for (const target of [H2_FRAMES, H2_SERVER, H2_CLIENT]) {
    test(target.name, (context) => runFuzz(target, (line) => context.diagnostic(line)));
  }
});
