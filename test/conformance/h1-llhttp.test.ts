// The fixtures of llhttp (MIT), replayed: what llhttp's strict mode refuses we refuse too, and where we refuse more, the
// reason is one of our own stricter rules. The fixtures are not in this repository: OUTRIGGER_FIXTURES names a folder
// that has `llhttp/{request,response}/*.md`; without it the test is skipped.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type H1Event, eachByte, parseRequests, parseResponse } from '../support/h1-script.ts';

const FOLDER = join(process.env['OUTRIGGER_FIXTURES'] ?? '../shared/fixtures', 'llhttp');

interface Fixture {
  readonly name: string;
  readonly type: 'request' | 'response';
  readonly bytes: string;
  readonly log: string;
}

/** A block's text as bytes: lines end in CRLF, escapes are written out, a backslash at a line's end joins lines. */
function toBytes(block: string): string {
  return block
    .replace(/\n$/, '')
    .replace(/\\\n/g, '')
    .replace(/\n/g, '\r\n')
    .replace(/\\r/g, '\r')
    .replace(/\\n/g, '\n')
    .replace(/\\t/g, '\t')
    .replace(/\\f/g, '\f')
    .replace(/\\x([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function readFixtures(type: 'request' | 'response'): Fixture[] {
  const fixtures: Fixture[] = [];
  for (const file of readdirSync(join(FOLDER, type)).sort()) {
    const text = readFileSync(join(FOLDER, type, file), 'utf8');
    const sections = text.split(/^#{1,4} /m);
    for (const section of sections) {
      const title = section.slice(0, section.indexOf('\n'));
      const block = /<!-- meta=(\{.*?\}) -->\s*```http\n([\s\S]*?)```\s*```log\n([\s\S]*?)```/g;
      for (const [, meta = '', http = '', log = ''] of section.matchAll(block)) {
        // Lenient modes and what a user of llhttp can ask for (pausing, skipping bodies) are no business of ours.
        const {
          type: mode,
          pause,
          skipBody,
        } = JSON.parse(meta) as { type: string; pause?: string; skipBody?: boolean };
        if (mode !== type || pause !== undefined || skipBody) continue;
        fixtures.push({ name: `${file}: ${title}`, type, bytes: toBytes(http), log });
      }
    }
  }
  return fixtures;
}

/** The fixtures often leave Host out, which we refuse before anything else: given one, the rest is compared. */
function withHost(text: string): string {
  if (/^host:/im.test(text)) return text;
  return text.replace(
    /^([A-Z][A-Z-]* (?:https?:\/\/([^/?\s]+))?\S* HTTP\/1\.1\r\n)/gm,
    (line, _all, authority?: string) => {
      return `${line}Host: ${authority ?? 'a'}\r\n`;
    },
  );
}

/** What both sides say of a fixture, in the same terms. */
interface Verdict {
  readonly refused: string | undefined;
  readonly heads: number;
  readonly bodyBytes: number;
}

function theirs(log: string): Verdict {
  const error = /error code=(\d+) reason="([^"]*)"/.exec(log);
  let bodyBytes = 0;
  for (const [, length = '0'] of log.matchAll(/len=(\d+) span\[body\]/g)) bodyBytes += Number(length);
  return { refused: error?.[2], heads: log.match(/headers complete/g)?.length ?? 0, bodyBytes };
}

function ours(events: readonly H1Event[]): Verdict {
  let refused: string | undefined;
  let heads = 0;
  let bodyBytes = 0;
  for (const event of events) {
    if ('fault' in event) refused = event.detail;
    else if ('head' in event || 'informational' in event) heads++;
    else if ('data' in event) bodyBytes += event.data.length;
  }
  return { refused, heads, bodyBytes };
}

function parse(type: 'request' | 'response', bytes: string, cuts: readonly number[] = []): readonly H1Event[] {
  return type === 'request' ? parseRequests(bytes, cuts) : parseResponse(bytes, { cuts }).events;
}

/** What llhttp refuses and our parser doesn't, with the reason. */
const LEFT_TO_OTHERS: Readonly<Record<string, string>> = {
  'Expected space after method': 'unknown methods are forwarded as they are',
  'Invalid method for HTTP/x.x request': 'unknown methods are forwarded as they are',
  'Data after `Connection: close`': 'the session and the channel read nothing after the last message',
};

/** Why we refuse what llhttp takes. */
const STRICTER: readonly string[] = [
  'content-length is not a number', // leading zeros
  'the target * is for OPTIONS only',
  'the request line is not "METHOD target HTTP/1.1"', // RTSP, ICE
  'the request line has no HTTP version', // HTTP/0.9
  'the target has a fragment',
  'the authority of the target is not a host with an optional port', // userinfo
  'only the transfer coding chunked is supported',
  'transfer-encoding does not end in chunked',
  'more than one transfer-encoding',
  'the status line is not "HTTP/1.1 200 OK"', // RTSP, ICE, empty lines before it
  'the answer is neither HTTP/1.0 nor HTTP/1.1', // 0.9
];

for (const type of ['request', 'response'] as const) {
  describe(`llhttp ${type}`, { skip: existsSync(FOLDER) ? false : `no fixtures in ${FOLDER}` }, () => {
    const fixtures = existsSync(FOLDER) ? readFixtures(type) : [];
    test('there are some', () => assert.ok(fixtures.length > 50));
    for (const { name, bytes, log } of fixtures) {
      // llhttp stops where an upgrade begins and hands the rest to its user; we serve such requests without one.
      if (/Pause on CONNECT\/Upgrade/.test(log)) continue;
      test(name, () => {
        const text = type === 'request' ? withHost(bytes) : bytes;
        const expected = theirs(log);
        const events = parse(type, text);
        assert.deepEqual(parse(type, text, eachByte(text.length)), events, 'one byte at a time');
        const verdict = ours(events);
        if (expected.refused !== undefined) {
          // llhttp refuses inside an unfinished line; we do when the head is complete.
          const refused = verdict.refused ?? ours(parse(type, `${text}\r\n\r\n`)).refused;
          assert.ok(refused !== undefined || expected.refused in LEFT_TO_OTHERS, `llhttp refuses: ${expected.refused}`);
        } else if (verdict.refused !== undefined) {
          assert.ok(STRICTER.includes(verdict.refused), `only we refuse: ${verdict.refused}`);
        } else if (type === 'request' || expected.heads === 1) {
          assert.deepEqual(verdict, expected);
        }
      });
    }
  });
}
