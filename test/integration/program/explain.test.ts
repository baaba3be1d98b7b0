// `outrigger explain` beside a running sidecar: what it says is what then happens, and asking changes nothing.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { httpCall } from '../../support/http-call.ts';
import { portOf, runProgram, startProgram, type Program } from '../../support/program.ts';
import { closedPort, startRawServer, type RawServer } from '../../support/raw-server.ts';

const backends: RawServer[] = [];
let sidecar: Program;
let port: number;
let admin: number;

interface Explained {
  readonly listener: string;
  readonly upstream: string;
  readonly pick: string;
  readonly policy: string[];
  readonly endpoints: { endpoint: string; usable: boolean; score: string }[];
  readonly onFailure: string[];
  readonly refused: string;
}

before(async () => {
  for (let i = 0; i < 3; i++) {
    const server: RawServer = await startRawServer((socket) =>
      socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n${server.port}`)),
    );
    backends.push(server);
  }
  const to = backends.map((backend) => `127.0.0.1:${backend.port}`).join(',');
  sidecar = await startProgram(['run', '--admin', '0', '--health', '0', '--listen', '0', '--to', to]);
  port = portOf(sidecar.ready.listeners?.[0]?.address);
  admin = portOf(sidecar.ready.admin);
});

after(async () => {
  for (const backend of backends) backend.close();
  await sidecar.kill();
});

async function explain(...args: string[]): Promise<{ status: number | null; text: string }> {
  const done = await runProgram(['explain', '--port', String(port), '--admin', String(admin), ...args]);
  return { status: done.status, text: `${done.out}${done.log}` };
}

describe('outrigger explain', () => {
  it('names the endpoint that the next call goes to, however often it is asked', async () => {
    for (let i = 0; i < 3; i++) {
      const said: Explained[] = [];
      for (let asked = 0; asked < 2; asked++) {
        const { status, text } = await explain('--json');
        assert.equal(status, 0, text);
        said.push(JSON.parse(text) as Explained);
      }
      assert.equal(said[0]?.pick, said[1]?.pick);
      const answer = await httpCall(port);
      assert.equal(said[0]?.pick, `127.0.0.1:${answer.body.toString()}`);
      assert.equal(said[0]?.endpoints.length, 3);
    }
  });

  it('prints each value with its source, each endpoint with its reason, and what a failure leads to', async () => {
    const { status, text } = await explain('--path', '/a?b=1', '-H', 'x-user=7');
    assert.equal(status, 0);
    assert.match(text, /^pick +127\.0\.0\.1:\d+ \(roundrobin: next in the rotation\)$/m);
    assert.match(text, /^ {2}in +127\.0\.0\.1:\d+ +share 1 of 3 +unchecked$/m);
    assert.match(text, /^ {2}at most 3 attempts/m);
    assert.match(text, /^ {2}attempt 2: 127\.0\.0\.1:\d+$/m);
    assert.match(text, /^ {2}timeout\.read: 60s \(default\)$/m);
  });

  it('says why a request would be refused, with status 1', async () => {
    const { status, text } = await explain('--method', '/shop.Cart/Get');
    assert.equal(status, 1);
    assert.match(text, /^refused +unsupported_bridge: .*scheme is http$/m);
  });

  it('status 1 also for a request that no session takes', async () => {
    for (const [args, reason] of [
      [['--http-method', 'TRACE'], 'method_not_allowed'],
      [['--path', '/a b'], 'bad_request'],
      [['-H', 'x-a=b\u0001'], 'bad_request'],
      [['-H', 'expect=foo'], 'expectation_failed'],
    ] as const) {
      const { status, text } = await explain(...args);
      assert.equal(status, 1, text);
      assert.match(text, new RegExp(`^refused +${reason}: `, 'm'));
      assert.doesNotMatch(text, /^pick/m);
    }
  });

  it('bad input names its place, with status 2', async () => {
    for (const [args, problem] of [
      [['--method', 'Get'], /method.*must be \/package\.Service\/Method/],
      [['--method', '/a.B/C', '--path', '/'], /path.*not together with method/],
      [['-H', 'novalue'], /-H.*NAME=VALUE/],
      [['--port', '1'], /port.*no listener has port 1; there are \d+/],
      [['--port', 'x'], /--port/],
      [['--from', 'foo'], /remote_address: "foo" is no IP address: write /],
      [['--from', '[::1]'], /is no IP address/],
      [['--from', '1.2.3.4:80'], /is no IP address/],
      [['--authority', 'a', '-H', 'Host=b'], /headers\[0\]: host "b" differs from authority "a"/],
    ] as const) {
      const { status, text } = await explain(...args);
      assert.equal(status, 2, text);
      assert.match(text, problem);
      assert.doesNotMatch(text, /^listener/m);
    }
  });

  it('status 2 where no sidecar answers', async () => {
    const closed = await closedPort();
    const { status, log } = await runProgram(['explain', '--port', '1', '--admin', String(closed)]);
    assert.equal(status, 2);
    assert.match(log, new RegExp(`^outrigger: 127\\.0\\.0\\.1:${closed}: .*ECONNREFUSED`));
  });

  it('--json is the JSON of Protobuf: no field that no message has, and empty ones left out', async () => {
    const { text } = await explain('--json');
    const answer = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual(Object.keys(answer), [
      'listener',
      'upstream',
      'servicePort',
      'policy',
      'endpoints',
      'pick',
      'pickReason',
      'onFailure',
    ]);
    assert.doesNotMatch(text, /_unknownFields/);
    const refused = await explain('--json', '--path', '/a b');
    assert.equal((JSON.parse(refused.text) as Explained).refused, 'bad_request');
  });
});

describe('outrigger explain of a large upstream', () => {
  it('says how many endpoints it leaves out, and shows the pick first', async () => {
    const to = Array.from({ length: 1100 }, (_, i) => `127.1.${i >> 8}.${i & 255}:80`).join(',');
    const large = await startProgram(['run', '--admin', '0', '--health', '0', '--listen', '0', '--to', to]);
    try {
      const at = String(portOf(large.ready.listeners?.[0]?.address));
      const args = ['explain', '--port', at, '--admin', String(portOf(large.ready.admin))];
      const { status, out } = await runProgram(args);
      assert.equal(status, 0);
      const pick = /^pick +(\S+) /m.exec(out)?.[1];
      assert.ok(pick);
      assert.equal(/^endpoints\n {2}in +(\S+) /m.exec(out)?.[1], pick);
      assert.match(out, /^ {2}and 100 more, left out$/m);
    } finally {
      await large.kill();
    }
  });
});
