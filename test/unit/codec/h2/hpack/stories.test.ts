// The stories of the public hpack-test-case collection, where the fixtures are at hand.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { listStories, playStory } from '../../../../support/hpack-stories.ts';

const root = join(process.env['OUTRIGGER_FIXTURES'] ?? join(process.cwd(), '..', 'shared', 'fixtures'), 'hpack');
const found = existsSync(root);

test(
  'HPACK stories decode, also byte by byte, and survive our encoder',
  { skip: found ? false : `no fixtures at ${root}` },
  (context) => {
    const stories = listStories(root);
    assert.ok(stories.length > 0);
    const cases = stories.reduce((sum, story) => sum + playStory(story), 0);
    context.diagnostic(`${stories.length} stories, ${cases} cases`);
  },
);
