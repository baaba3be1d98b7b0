// h2specd, a server that breaks the rules, behind the sidecar. Without a client to start it has a port for each case
// and a page that lists them, so one sidecar gets one listener for each and carries one call to each. With a single
// endpoint the sidecar makes one attempt, so no retry hides what the first one did.
import { connect } from 'node:http2';
import { awaitPort, freePort } from '../../bench/await-ready.ts';
import type { Child } from '../../bench/child.ts';
import { listenTo, withSidecar } from './sidecar.ts';
import { allPass } from './suite.ts';
import type { Bench, Suite } from './suite.ts';
import { goVersion, missingTool, tool } from './tools.ts';

const LEAST_CASES = 57;
/** Case ports start below those that the kernel gives out. */
const FIRST_BASE = 21_000;
const BASES = 40;
const PORTS_OF_A_BASE = 100;
const CALLS_AT_ONCE = 4;
const CALL_MS = 5_000;
/** A case waits at most this long for what it wants to see, seconds. */
const CASE_SECONDS = 2;
/** h2specd closes with our bytes unread now and then, which resets the connection and loses what it waits for. */
const REPEATS = 3;

/** One case of its page. */
export interface H2specdCase {
  readonly port: number;
  readonly title: string;
  /** Undefined: no connection came yet. */
  readonly passed: boolean | undefined;
  readonly actual: string;
}

export const h2specdSuite: Suite = {
  name: 'h2specd',
  summary: 'HTTP/2 rules on the endpoints’ side',

  missing: () => missingTool('h2specd'),

  run: async (bench) => {
    const { child, page } = await startH2specd(bench);
    try {
      const cases = await readPage(page);
      const flags = cases.flatMap(({ port }) => listenTo(port, 'grpc'));
      const after = await withSidecar(bench, flags, async ({ ports }) => {
        let open = cases.map(({ port }) => port);
        for (let turn = 0; turn <= REPEATS && open.length > 0; turn++) {
          bench.progress(turn === 0 ? `${open.length} cases` : `${open.length} again`);
          await callAll(open.map((port) => ports[cases.findIndex((each) => each.port === port)] ?? 0));
          open = (await settled(page, open)).filter(({ passed }) => passed !== true).map(({ port }) => port);
        }
        return readPage(page);
      });
      const failed = after.filter(({ passed }) => passed !== true);
      return {
        tools: [goVersion('h2specd')],
        figures: [allPass('h2c', after.length - failed.length, after.length, LEAST_CASES)],
        failures: failed.map(({ title, actual }) => `${title} (${actual || 'no connection came'})`),
        notes: [
          `A case that fails is repeated up to ${REPEATS} times: h2specd may reset a connection with an answer unread.`,
        ],
      };
    } finally {
      await bench.children.stop(child);
    }
  },
};

/** Starts it with ports that are free; gives the address of its page. */
async function startH2specd(bench: Bench): Promise<{ child: Child; page: string }> {
  let problem: unknown;
  for (let base = FIRST_BASE; base < FIRST_BASE + BASES * PORTS_OF_A_BASE; base += PORTS_OF_A_BASE) {
    const port = await freePort();
    const args = ['-h', '127.0.0.1', '-p', String(port), '-f', String(base), '-o', String(CASE_SECONDS), '-S'];
    const child = await bench.children.start('others', tool('h2specd'), args);
    try {
      await awaitPort(child, 'h2specd', port);
      return { child, page: `http://127.0.0.1:${port}/` };
    } catch (error) {
      problem = error;
      await bench.children.stop(child);
    }
  }
  throw new Error(`h2specd found no free ports: ${String(problem)}`);
}

/** Waits until each of these cases has a verdict, or time is up. */
async function settled(page: string, ports: readonly number[]): Promise<H2specdCase[]> {
  const deadline = Date.now() + CASE_SECONDS * 1000 + 1500;
  for (;;) {
    const cases = (await readPage(page)).filter(({ port }) => ports.includes(port));
    if (Date.now() > deadline || cases.every(({ passed }) => passed === true)) return cases;
    await new Promise((resume) => setTimeout(resume, 100));
  }
}

async function readPage(page: string): Promise<H2specdCase[]> {
  return readCases(await (await fetch(page)).text());
}

/** Reads the page of h2specd: titles of sections, and of each case its mark, its port and what was seen. */
export function readCases(html: string): H2specdCase[] {
  const cases: H2specdCase[] = [];
  let section = '';
  for (const line of html.split('<div')) {
    section = /^>([\d.]+)\. /.exec(line)?.[1] ?? section;
    const found = /^><span[^>]*>(.*?)<\/span><a href="http:\/\/[^"]*:(\d+)\/".*<\/a>(.*?)<\/div>/s.exec(line);
    const actual = /&nbsp;&nbsp;Actual:&nbsp;(.*?)<\/div>|>Error: (.*?)<\/div>/s.exec(line);
    if (found !== null) {
      const [, mark = '', port = '', title = ''] = found;
      const passed = mark === '✔' ? true : mark === '✖' ? false : undefined;
      cases.push({ port: Number(port), title: `${section} ${title}`, passed, actual: '' });
    } else if (actual !== null) {
      const last = cases.pop();
      if (last !== undefined) cases.push({ ...last, actual: actual[1] ?? actual[2] ?? '' });
    }
  }
  return cases;
}

async function callAll(ports: readonly number[]): Promise<void> {
  const left = [...ports];
  const work = async (): Promise<void> => {
    for (let port = left.shift(); port !== undefined; port = left.shift()) await call(port);
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, work));
}

/** One GET; how it ends doesn't matter here. */
function call(port: number): Promise<void> {
  return new Promise((done) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const timer = setTimeout(end, CALL_MS);
    function end(): void {
      clearTimeout(timer);
      session.destroy();
      done();
    }
    session.on('error', end);
    session.request({ ':path': '/' }).on('error', end).on('close', end).resume().end();
  });
}
