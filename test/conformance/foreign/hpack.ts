// HPACK stories of many encoders, through our decoder and encoder.
import { basename, dirname } from 'node:path';
import { listStories, playStory } from '../../support/hpack-stories.ts';
import { fixtureFolder, missingFixtures } from './fixtures.ts';
import { allPass } from './suite.ts';
import type { Suite } from './suite.ts';

export const hpackSuite: Suite = {
  name: 'hpack',
  summary: 'stories of hpack-test-case, decoded, decoded byte by byte, encoded again',

  missing: () => missingFixtures('hpack'),

  run: () => {
    const stories = listStories(fixtureFolder('hpack'));
    const failures: string[] = [];
    const cases = new Map<string, { stories: number; cases: number }>();
    for (const story of stories) {
      try {
        const encoder = basename(dirname(story));
        const sum = cases.get(encoder) ?? { stories: 0, cases: 0 };
        const played = playStory(story);
        if (played > 0) cases.set(encoder, { stories: sum.stories + 1, cases: sum.cases + played });
      } catch (error) {
        const [first = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
        failures.push(`${basename(dirname(story))}/${basename(story)}: ${basename(first)}`);
      }
    }
    const passed = [...cases.values()].reduce((sum, { stories }) => sum + stories, 0);
    const rows = [...cases].map(([encoder, sum]) => [encoder, String(sum.stories), String(sum.cases)]);
    return Promise.resolve({
      tools: [],
      figures: [allPass('stories', passed, passed + failures.length, 1)],
      table: [['encoder', 'stories', 'header blocks'], ...rows],
      failures,
    });
  },
};
