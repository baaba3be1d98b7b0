// `outrigger run` as a process: its ready line, its ports, its logs, its signals and its exit statuses.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { adminClient } from '../../support/admin-client.ts';
import { httpCall } from '../../support/http-call.ts';
import { portOf, runProgram, startProgram, type Program } from '../../support/program.ts';
import { startRawServer, type RawServer } from '../../support/raw-server.ts';

const QUIET = ['--admin', '0', '--health', '0'];
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

let backend: RawServer;
let directory: string;
const programs: Program[] = [];

before(async () => {
  backend = await startRawServer((socket) => socket.on('data', () => socket.write(ANSWER)));
  directory = await mkdtemp(join(tmpdir(), 'outrigger-run-'));
});

after(async () => {
  backend.close();
  for (const program of programs) await program.kill();
  await rm(directory, { recursive: true, force: true });
});

async function run(...args: string[]): Promise<Program & { port: number }> {
  const program = await startProgram(['run', ...QUIET, ...args]);
  programs.push(program);
  return Object.assign(program, { port: portOf(program.ready.listeners?.[0]?.address) });
}

/** A backend that keeps a call waiting until it is told to answer. */
async function slowBackend(): Promise<RawServer & { asked: Promise<void>; answer(): void }> {
  let ask: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const server = await startRawServer((socket) => socket.on('data', () => ask()));
  return Object.assign(server, { asked, answer: () => server.connections[0]?.write(ANSWER) });
}

/** Waits until nobody answers on a port any more. */
async function untilRefused(port: number): Promise<void> {
  for (;;) {
    const socket = connect({ host: '127.0.0.1', port });
    const refused = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(true));
      socket.once('connect', () => resolve(false));
    });
    socket.destroy();
    if (refused) return;
  }
}

describe('outrigger run', () => {
  it('with static listeners and a control plane is ready once that has spoken', async () => {
    await writeFile(
      join(directory, 'web.yaml'),
      'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n',
    );
    const control = await startProgram(['control', '--dir', directory, '--ads', '0']);
    programs.push(control);
    const flags = ['--control', control.ready.ads ?? '', '--listener-ports', 'ephemeral'];
    const { ready } = await run('--listen', '0', '--to', `127.0.0.1:${backend.port}`, ...flags);
    assert.deepEqual(
      ready.listeners?.map(({ name }) => name),
      ['static/0', 'outbound/80'],
    );
  });

  it('says on one line that it is ready and where, serves, and logs to stderr only', async () => {
    const program = await run('--listen', '0', '--to', `127.0.0.1:${backend.port}`, '--access-log', 'json');
    const { ready } = program;
    assert.equal(ready.ready, true);
    assert.equal(ready.listeners?.length, 1);
    assert.match(ready.listeners[0]?.address ?? '', /^127\.0\.0\.1:\d+$/);
    assert.match(ready.admin ?? '', /^127\.0\.0\.1:\d+$/);
    assert.match(ready.health ?? '', /^127\.0\.0\.1:\d+$/);
    const answer = await httpCall(program.port, {
      path: '/a?b=c',
      headers: { Host: 'svc', 'User-Agent': 'test', 'X-Forwarded-For': '10.9.8.7' },
    });
    assert.equal(answer.body.toString(), 'ok');
    assert.equal(await program.stop(), 0);
    const lines = program.log().trim().split('\n');
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const access = records.filter((record) => record['method'] === 'GET');
    assert.equal(access.length, 1, program.log());
    const { attempts, ...rest } = access[0] ?? {};
    for (const [name, value] of Object.entries({
      path: '/a?b=c',
      protocol: 'HTTP/1.1',
      authority: 'svc',
      status: 200,
      bytes_received: 0,
      bytes_sent: 2,
      remote_address: '127.0.0.1',
      forwarded_for: '10.9.8.7',
      user_agent: 'test',
      upstream: 'static/listener-0',
      endpoint: `127.0.0.1:${backend.port}`,
    })) {
      assert.equal(rest[name], value, name);
    }
    assert.equal((attempts as { outcome: string }[])[0]?.outcome, '200');
  });

  it('the text access log has the layout of Envoy', async () => {
    const program = await run('--listen', '0', '--to', `127.0.0.1:${backend.port}`, '--access-log', 'text');
    await httpCall(program.port, { headers: { Host: 'svc' } });
    assert.equal(await program.stop(), 0);
    const line = program
      .log()
      .split('\n')
      .find((candidate) => candidate.startsWith('['));
    const layout =
      /^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "GET \/ HTTP\/1\.1" 200 - 0 2 \d+ \d+ "-" "-" "[0-9a-f]{32}" "svc" "127\.0\.0\.1:\d+"$/;
    assert.match(line ?? '', layout);
  });

  it('answers /ready, /live, /metrics and /v1/healthcheck', async () => {
    const program = await run('--listen', '0', '--to', `127.0.0.1:${backend.port}`);
    await httpCall(program.port);
    const health = portOf(program.ready.health);
    const admin = portOf(program.ready.admin);
    assert.equal((await httpCall(health, { path: '/ready' })).status, 200);
    assert.equal((await httpCall(health, { path: '/live' })).status, 200);
    const metrics = await httpCall(admin, { path: '/metrics' });
    assert.equal(metrics.status, 200);
    assert.match(metrics.body.toString(), /^outrigger_\w+\{?.* 1$/m);
    const healthcheck = await httpCall(admin, { path: '/v1/healthcheck' });
    assert.equal(healthcheck.status, 200);
    assert.match(String(healthcheck.headers['content-type']), /json/);
    assert.doesNotThrow(() => JSON.parse(healthcheck.body.toString()));
    const client = adminClient(admin);
    const { endpoints } = await client.listEndpoints({});
    client.close();
    assert.deepEqual(
      endpoints.map(({ port }) => port),
      [backend.port],
    );
    assert.equal(await program.stop(), 0);
  });

  it('SIGTERM: not ready, no new connections, the call in flight finishes, then status 0', async () => {
    const slow = await slowBackend();
    const program = await run('--listen', '0', '--to', `127.0.0.1:${slow.port}`);
    const call = httpCall(program.port);
    await slow.asked;
    const stopped = program.stop();
    await untilRefused(program.port);
    const ready = await httpCall(portOf(program.ready.health), { path: '/ready' });
    assert.equal(ready.status, 503);
    assert.match(ready.body.toString(), /draining/);
    slow.answer();
    const answer = await call;
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.connection, 'close');
    assert.equal(await stopped, 0);
    slow.close();
  });

  it('a second SIGTERM ends at once, with status 1', async () => {
    const slow = await slowBackend();
    const program = await run('--listen', '0', '--to', `127.0.0.1:${slow.port}`);
    const call = httpCall(program.port).catch(() => 'cut');
    await slow.asked;
    const stopped = program.stop();
    await untilRefused(program.port);
    program.process.kill('SIGTERM');
    assert.equal(await stopped, 1);
    assert.equal(await call, 'cut');
    slow.close();
  });

  it('a drain that takes too long cuts what is left, with status 1', async () => {
    const slow = await slowBackend();
    const program = await run('--listen', '0', '--to', `127.0.0.1:${slow.port}`, '--drain-timeout', '50ms');
    const call = httpCall(program.port).catch(() => 'cut');
    await slow.asked;
    assert.equal(await program.stop(), 1);
    assert.equal(await call, 'cut');
    slow.close();
  });

  it('a taken port is one clear line and status 1', async () => {
    const cases = [
      ['--admin', String(backend.port), '--health', '0'],
      ['--admin', '0', '--health', String(backend.port)],
      [...QUIET, '--listen', String(backend.port), '--to', '127.0.0.1:9'],
    ];
    const results = await Promise.all(cases.map((args) => runProgram(['run', '--log-level', 'fatal', ...args])));
    for (const { status, out, log } of results) {
      assert.equal(status, 1, log);
      assert.equal(out, '');
      assert.match(log, new RegExp(`^outrigger: .*127\\.0\\.0\\.1:${backend.port} is already in use.*\n$`));
    }
  });

  it('bad usage and bad values: one line with the place, status 2', async () => {
    const file = join(directory, 'bad.yaml');
    await writeFile(file, 'apiVersion: outrigger.config/v1\nkind: Bootstrap\nspec: {admin: nope, drian_timeout: 3}\n');
    const broken = join(directory, 'broken.yaml');
    await writeFile(broken, 'spec: [\n');
    const cases: [args: string[], expected: RegExp][] = [
      [['run', '--adnim', '0'], /--adnim.*outrigger run --help/],
      [['run', 'show'], /unexpected argument 'show'/],
      [['run', '--to', '127.0.0.1:1'], /^outrigger: --to belongs to the --listen before it/],
      [['run', '--admin', 'x'], /^outrigger: --admin: /],
      [['run', '--listen', '0', '--to', '127.0.0.1:1', '--scheme', 'tcp'], /^outrigger: --scheme: 'tcp'/],
      [['run', '--tls-cert', 'c.pem'], /^outrigger: --tls-cert belongs to the --listen before it/],
      [['run', '--listen', '0', '--to', '127.0.0.1:1', '--to-ca', 'c'], /^outrigger: --to-ca needs --scheme https or/],
      [
        ['run', '--listen', '0', '--to', '127.0.0.1:1', '--tls-cert', join(directory, 'no.pem'), '--tls-key', 'k'],
        /^outrigger: --tls-cert \/.*\/no\.pem: does not exist; create it or correct the path\n$/,
      ],
      [['run', '--control-ca', 'c.pem'], /^outrigger: --control-ca: there is no control plane; add --control/],
      [['run', '--control', '127.0.0.1:1', '--control-ca', file], /^outrigger: --control-ca .*bad\.yaml: .* not PEM/],
      [['run', '-c', file], /bad\.yaml: .*admin.*drian_timeout|bad\.yaml: .*drian_timeout.*/],
      [['run', '-c', broken], /broken\.yaml: .* line 2/],
      [['config', 'show', 'me'], /unexpected argument 'me'/],
      [['lauf'], /unknown command 'lauf'; commands: run, control/],
    ];
    const results = await Promise.all(cases.map(([args]) => runProgram(args)));
    for (const [i, { status, out, log }] of results.entries()) {
      const [args, expected] = cases[i] ?? [];
      assert.equal(status, 2, `${args?.join(' ')}: ${log}`);
      assert.equal(out, '');
      assert.match(log, expected ?? /^$/);
      assert.doesNotMatch(log, /\n {4}at /, 'no stack');
    }
  });

  it('config show tells each value and where it came from', async () => {
    const file = join(directory, 'b.yaml');
    await writeFile(
      file,
      'apiVersion: outrigger.config/v1\nkind: Bootstrap\nspec: {health: "0.0.0.0:7", access_log: json}\n',
    );
    const args = ['config', 'show', '-c', file, '--admin', '[::1]:5', '--listen', '80', '--to', '10.0.0.1:1'];
    const environment = { ...process.env, OUTRIGGER_LOG_LEVEL: 'warn', OUTRIGGER_ACCESS_LOG: 'text' };
    const { status, out, log } = await runProgram(args, environment);
    assert.equal(status, 0, log);
    const rows = new Map(out.split('\n').map((line) => [line.split(/ +/)[0], line.split(/ +/).slice(1)]));
    assert.deepEqual(rows.get('--admin'), ['[::1]:5', 'flag', 'OUTRIGGER_ADMIN']);
    assert.deepEqual(rows.get('--log-level'), ['warn', 'environment', 'OUTRIGGER_LOG_LEVEL']);
    assert.deepEqual(rows.get('--access-log'), ['text', 'environment', 'OUTRIGGER_ACCESS_LOG']);
    assert.deepEqual(rows.get('--health'), ['0.0.0.0:7', 'file', 'OUTRIGGER_HEALTH']);
    assert.deepEqual(rows.get('--drain-timeout'), ['30000ms', 'default', 'OUTRIGGER_DRAIN_TIMEOUT']);
    assert.deepEqual(rows.get('--listen')?.slice(0, 2), ['127.0.0.1:80->http:10.0.0.1:1', 'flag']);
  });

  it('a bootstrap file may use merge keys; several documents, none and bad syntax are one clear line', async () => {
    const head = 'apiVersion: outrigger.config/v1\nkind: Bootstrap\n';
    const cases: [string, number, RegExp][] = [
      [`---\n${head}spec: {listeners: [&l {listen: '1', to: ['10.0.0.1:1']}, {<<: *l, listen: '2'}]}\n---\n`, 0, /^$/],
      [`${head}spec: {}\n---\n${head}spec: {}\n`, 2, /holds several documents; leave one, the Bootstrap\n$/],
      ['# nothing\n', 2, /is empty; write `kind: Bootstrap` and a spec\n$/],
      ['a: [', 2, /at line 1, column 5\n$/],
    ];
    const results = await Promise.all(
      cases.map(async ([text], i) => {
        const file = join(directory, `case${i}.yaml`);
        await writeFile(file, text);
        return runProgram(['config', 'show', '-c', file]);
      }),
    );
    for (const [i, { status, out, log }] of results.entries()) {
      const [text, expected, message] = cases[i] ?? [];
      assert.equal(status, expected, `${text}: ${log}`);
      assert.match(log, message ?? /^$/);
      assert.ok(log.split('\n').length <= 2, log);
      if (status === 0) assert.match(out, /127\.0\.0\.1:1->http:10\.0\.0\.1:1 127\.0\.0\.1:2->http:10\.0\.0\.1:1 /);
    }
  });

  it('control: what is no directory, and a bad address, are bad usage with their place', async () => {
    const file = join(directory, 'file.yaml');
    await writeFile(file, '');
    const bad = { ...process.env, OUTRIGGER_ADS: '99999' };
    const results = await Promise.all([
      runProgram(['control', '--dir', file]),
      runProgram(['control', '--dir', join(file, 'below')]),
      runProgram(['control', '--dir', directory], bad),
      runProgram(['control', '--dir', directory, '--ads', 'x'], bad),
      runProgram(['control', '--dir', directory, '--ads-cert', 'c.pem']),
      runProgram(['control', '--dir', directory, '--ads-cert', file, '--ads-key', join(directory, 'no.pem')]),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      [2, 2, 2, 2, 2, 2],
    );
    assert.match(results[0].log, /--dir .*file\.yaml: there is no such directory/);
    assert.match(results[2].log, /^outrigger: OUTRIGGER_ADS: port '99999'/);
    assert.match(results[3].log, /^outrigger: --ads: 'x'/);
    assert.match(results[4].log, /^outrigger: --ads-cert: needs --ads-key\n$/);
    assert.match(results[5].log, /^outrigger: --ads-key .*no\.pem: does not exist/);
  });

  it('--help and --version', async () => {
    const [help, run, version, nothing] = await Promise.all([
      runProgram(['--help']),
      runProgram(['run', '--help']),
      runProgram(['--version']),
      runProgram([]),
    ]);
    assert.equal(help.status, 0);
    assert.match(help.out, /^Usage: outrigger COMMAND/);
    assert.equal(run.status, 0);
    assert.match(run.out, /--drain-timeout DURATION/);
    assert.equal(version.status, 0);
    assert.match(version.out, /^outrigger \S+\n$/);
    assert.equal(nothing.status, 2);
  });
});
