import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseHttpDate } from '../../../src/policy/http-date.ts';

const NOW_MS = Date.UTC(2026, 5, 15);

test('the three forms of RFC 9110 are the same moment', () => {
  const moment = Date.UTC(1994, 10, 6, 8, 49, 37);
  const forms = ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994'];
  for (const text of forms) assert.equal(parseHttpDate(text, NOW_MS), moment, text);
});

test('edges', () => {
  const rows: [text: string, moment: number | undefined][] = [
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['Thu, 29 Feb 2024 23:59:59 GMT', Date.UTC(2024, 1, 29, 23, 59, 59)],
    ['Wed, 29 Feb 2023 00:00:00 GMT', undefined],
    ['Tue, 29 Feb 2000 00:00:00 GMT', Date.UTC(2000, 1, 29)],
    ['Thu, 29 Feb 1900 00:00:00 GMT', undefined],
    ['Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2017, 0, 1)], // a leap second
    ['Sat, 31 Dec 2016 23:59:61 GMT', undefined],
    ['Sat, 31 Dec 2016 24:00:00 GMT', undefined],
    ['Sat, 31 Nov 2016 00:00:00 GMT', undefined],
    ['Sat, 00 Nov 2016 00:00:00 GMT', undefined],
    ['Wed Nov 16 08:49:37 1994', Date.UTC(1994, 10, 16, 8, 49, 37)],
    ['Monday, 15-Jun-76 00:00:00 GMT', Date.UTC(2076, 5, 15)],
    ['Monday, 15-Jun-77 00:00:00 GMT', Date.UTC(1977, 5, 15)],
    ['sun, 06 Nov 1994 08:49:37 GMT', undefined],
    ['Sun, 06 Nov 1994 08:49:37 UTC', undefined],
    ['Sun, 6 Nov 1994 08:49:37 GMT', undefined],
    ['Sun, 06 Nvo 1994 08:49:37 GMT', undefined],
    ['Sun, 06 Nov 1994 08-49-37 GMT', undefined],
    [' Sun, 06 Nov 1994 08:49:37 GMT', undefined],
    ['1994-11-06T08:49:37Z', undefined],
    ['', undefined],
  ];
  for (const [text, moment] of rows) assert.equal(parseHttpDate(text, NOW_MS), moment, text);
});

test('any second of the years 1970 to 2400 is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(2400, 0, 1) / 1000 }), (seconds) => {
      assert.equal(parseHttpDate(new Date(seconds * 1000).toUTCString(), NOW_MS), seconds * 1000);
    }),
    { seed: 17, numRuns: 1_000 },
  );
});
