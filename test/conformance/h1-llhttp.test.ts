// The fixtures of llhttp (MIT), replayed, every block of them: what llhttp's strict mode refuses we refuse too, and where we
// refuse more, the reason is one of our own stricter rules, each with its section. Blocks of llhttp's lenient modes are
// compared as well: there we are stricter by purpose. The fixtures are not in this repository: OUTRIGGER_FIXTURES names a
// folder that has `llhttp/{request,response}/*.md`; without it the test is skipped.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { RequestParser } from '../../src/codec/h1/request-parser.ts';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import { H1Recorder, type H1Event, eachByte, parseRequests, parseResponse } from '../support/h1-script.ts';

const FOLDER = join(process.env['OUTRIGGER_FIXTURES'] ?? '../shared/fixtures', 'llhttp');

type Kind = 'request' | 'response';

interface Fixture {
  readonly name: string;
  readonly kind: Kind;
  /** `strict`, `finish` or the name of a lenient mode. */
  readonly mode: string;
  readonly skipsBody: boolean;
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

function readFixtures(kind: Kind): Fixture[] {
  const fixtures: Fixture[] = [];
  for (const file of readdirSync(join(FOLDER, kind)).sort()) {
    const text = readFileSync(join(FOLDER, kind, file), 'latin1');
    let title = '';
    for (const section of text.split(/^(?=#{1,4} )|^(?=<!-- meta=)/m)) {
      title = /^#{1,4} (.*)\n/.exec(section)?.[1] ?? title;
      const meta = /^<!-- meta=(\{.*?\}) -->/.exec(section)?.[1];
      if (meta === undefined) continue;
      const block = /```http\n([\s\S]*?)```[\s\S]*?```log\n([\s\S]*?)(?:```|$)/.exec(section);
      assert.ok(block, `${file}: ${title} has a message and a log`);
      const { type, skipBody = false } = JSON.parse(meta) as { type: string; skipBody?: boolean };
      const mode = type === kind ? 'strict' : type.slice(kind.length + 1);
      const [, http = '', log = ''] = block;
      fixtures.push({ name: `${file}: ${title}`, kind, mode, skipsBody: skipBody, bytes: toBytes(http), log });
    }
  }
  return fixtures;
}

/** The fixtures often leave Host out, which we refuse before anything else: given one, the rest is compared. */
function withHost(text: string): string {
  if (/^host:/im.test(text)) return text;
  return text.replace(
    /^([A-Z][A-Z-]* (?:https?:\/\/([^/?\s]+))?\S* HTTP\/1\.1\r\n)/gm,
    (line, _all, authority?: string) => `${line}Host: ${authority ?? 'a'}\r\n`,
  );
}

/** What both sides say of a fixture, in the same terms. */
interface Verdict {
  readonly refused: string | undefined;
  readonly heads: number;
  readonly bodyBytes: number;
}

const UPGRADE = 'Pause on CONNECT/Upgrade';

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

/** The first `count` messages of `events`. */
function firstMessages(events: readonly H1Event[], count: number): H1Event[] {
  let heads = 0;
  const end = events.findIndex((event) => 'fault' in event || ('head' in event && ++heads > count));
  return end < 0 ? [...events] : events.slice(0, end);
}

/** All that we make of a fixture; answers one after another, as long as the connection may be used again. */
function parse(fixture: Fixture, text: string, byByte: boolean): readonly H1Event[] {
  if (fixture.kind === 'request') return parseRequests(text, byByte ? eachByte(text.length) : []);
  const events: H1Event[] = [];
  const protocol = /^upgrade: (\S+)\r$/im.exec(text)?.[1]?.toLowerCase() ?? '';
  for (let rest = text; ;) {
    const cuts = byByte ? eachByte(rest.length) : [];
    const answer = parseResponse(rest, { cuts, protocol, toHead: fixture.skipsBody });
    events.push(...answer.events);
    if (!answer.done || !answer.keepAlive || answer.rest <= 0) return events;
    rest = rest.slice(-answer.rest);
  }
}

/** What llhttp refuses and our parser doesn't, with the reason. */
const LEFT_TO_OTHERS: Readonly<Record<string, string>> = {
  'Expected space after method': 'RFC 9110 section 9.1: unknown methods are forwarded as they are',
  'Invalid method for HTTP/x.x request': 'RFC 9110 section 9.1: unknown methods are forwarded as they are',
  'Data after `Connection: close`': 'RFC 9112 section 9.6: session and channel read nothing after the last message',
};

/** Why we refuse what llhttp takes: the words of the fault, and where the rule comes from. */
const STRICTER: Readonly<Record<string, string>> = {
  'content-length is not a number': 'RFC 9112 section 6.3: leading zeros, which some readers take for octal',
  'the target * is for OPTIONS only': 'RFC 9112 section 3.2.4',
  'the request line is not "METHOD target HTTP/1.1"': 'RFC 9112 section 3: RTSP and ICE are other protocols',
  'the request line has no HTTP version': 'RFC 9112 section 3: HTTP/0.9',
  'only HTTP/1.0 and HTTP/1.1 are spoken here': 'RFC 9110 section 2.5',
  'the target has a fragment': 'RFC 9112 section 3.2',
  'the authority of the target is not a host with an optional port': 'RFC 9110 section 4.2.4: userinfo',
  'transfer-encoding does not end in chunked': 'RFC 9112 section 6.3',
  'more than one transfer-encoding': 'RFC 9112 section 6.1: chunked is applied once, so one field is enough',
  'content-length and transfer-encoding together': 'RFC 9112 section 6.1: ought to be handled as an error',
  'the status line is not "HTTP/1.1 200 OK"': 'RFC 9112 section 4: RTSP, ICE, and empty lines before it',
  'the answer is neither HTTP/1.0 nor HTTP/1.1': 'RFC 9110 section 2.5',
  'CONNECT is not served': 'RFC 9110 section 9.3.6: only a proxy that is asked for it',
  'an upgrade to websocket without one valid sec-websocket-key': 'RFC 6455 section 4.2.1',
  'an informational answer that declares a body': 'RFC 9110 section 8.6 and RFC 9112 section 6.1: a 1xx has neither',
  'a CR without LF': 'RFC 9112 section 2.2',
  'an LF without CR': 'RFC 9112 section 2.2: may be taken, which is how parsers come to differ',
  'a control character': 'RFC 9110 section 5.5',
  'a folded field line': 'RFC 9112 section 5.2',
  'a space before the colon of a field': 'RFC 9112 section 5.1',
  'a chunk size is not a hexadecimal number': 'RFC 9112 section 7.1',
  'a chunk size line does not end in CRLF': 'RFC 9112 section 7.1',
  'chunk data is not followed by CRLF': 'RFC 9112 section 7.1',
};

/** Reasons of the two tables that a fixture has shown. */
const shown = new Set<string>();

interface Tally {
  blocks: number;
  agree: number;
  stricter: number;
  later: number;
}

/** Compares and says how it ended; throws where the two differ without a reason. */
function compare(fixture: Fixture): Exclude<keyof Tally, 'blocks'> {
  const { kind, bytes, log } = fixture;
  const text = kind === 'request' ? withHost(bytes) : bytes;
  const expected = theirs(log);
  const events = parse(fixture, text, false);
  assert.deepEqual(parse(fixture, text, true), events, 'one byte at a time');
  const verdict = ours(events);
  const isStricter = (refused: string): 'stricter' => {
    assert.ok(refused in STRICTER, `only we refuse: ${refused}`);
    shown.add(refused);
    return 'stricter';
  };
  if (expected.refused === UPGRADE) {
    // llhttp stops behind the message that asks for it, or agrees to it.
    const before = firstMessages(events, expected.heads);
    const { heads, bodyBytes } = ours(before);
    if (heads < expected.heads) return isStricter(verdict.refused ?? 'nothing');
    const isTunnel = before.some((event) => 'head' in event && 'status' in event.head && event.head.status === 101);
    if (!isTunnel) assert.equal(bodyBytes, expected.bodyBytes);
    return 'agree';
  }
  if (expected.refused !== undefined) {
    // llhttp refuses inside an unfinished line; we do when the head is complete.
    const refused = verdict.refused ?? ours(parse(fixture, `${text}\r\n\r\n`, false)).refused;
    if (refused !== undefined) return 'agree';
    assert.ok(expected.refused in LEFT_TO_OTHERS, `llhttp refuses: ${expected.refused}`);
    shown.add(expected.refused);
    return 'later';
  }
  if (verdict.refused !== undefined) return isStricter(verdict.refused);
  if (kind === 'request' && fixture.skipsBody) {
    // Its user skips a body that was announced; nothing of ours does.
    assert.ok(verdict.heads < expected.heads);
    return 'later';
  }
  // llhttp reads on behind an answer that closes the connection in its lenient modes.
  if (kind === 'response' && verdict.heads < expected.heads && /connection: close/i.test(text)) return 'stricter';
  assert.deepEqual(verdict, expected);
  return 'agree';
}

/** `finish=N`: 0 the connection may end here, 1 it ends the message, 2 it breaks it. */
function compareFinish({ kind, bytes, log }: Fixture): void {
  const expected = /finish=(\d)/.exec(log)?.[1];
  if (kind === 'response') {
    const open = parseResponse(bytes);
    const { done } = parseResponse(bytes, { closed: true });
    assert.equal(!done ? '2' : open.done ? '0' : '1', expected);
    return;
  }
  const recorder = new H1Recorder();
  const parser = new RequestParser(DEFAULT_LIMITS, 'http', recorder);
  const text = Buffer.from(withHost(bytes), 'latin1');
  parser.execute(text, 0, text.length);
  assert.equal(parser.fault, undefined);
  const last = recorder.events.at(-1);
  const isComplete = last !== undefined && ('end' in last || 'trailers' in last || ('head' in last && last.endStream));
  assert.equal(isComplete && !parser.isInHead ? '0' : '2', expected);
}

for (const kind of ['request', 'response'] as const) {
  describe(`llhttp ${kind}`, { skip: existsSync(FOLDER) ? false : `no fixtures in ${FOLDER}` }, () => {
    const fixtures = existsSync(FOLDER) ? readFixtures(kind) : [];
    const tallies = new Map<string, Tally>();
    for (const fixture of fixtures) {
      const mode = fixture.mode.startsWith('lenient') ? 'lenient' : fixture.mode;
      let tally = tallies.get(mode);
      if (!tally) tallies.set(mode, (tally = { blocks: 0, agree: 0, stricter: 0, later: 0 }));
      const counted = tally;
      counted.blocks++;
      test(`${fixture.name} (${fixture.mode})`, () => {
        if (mode === 'finish') {
          compareFinish(fixture);
          counted.agree++;
        } else counted[compare(fixture)]++;
      });
    }

    test('every block was compared', (t) => {
      assert.ok(fixtures.length > 80, `${fixtures.length} blocks`);
      for (const [mode, { blocks, agree, stricter, later }] of tallies) {
        assert.equal(agree + stricter + later, blocks);
        t.diagnostic(
          `${kind}, ${mode}: ${blocks} blocks, ${agree} agree, ${stricter} stricter here, ${later} left to session and channel`,
        );
      }
    });
  });
}

test('every reason given is one that a fixture shows', { skip: !existsSync(FOLDER) }, () => {
  const reasons = [...Object.keys(LEFT_TO_OTHERS), ...Object.keys(STRICTER)];
  assert.deepEqual(
    reasons.filter((reason) => !shown.has(reason)),
    [],
  );
});
