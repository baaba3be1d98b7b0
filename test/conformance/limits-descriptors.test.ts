// A sidecar that may open 128 files (Node can't load its modules with 64), at the end of them: callers beyond its share are told so, calls that find no
// descriptor for their upstream get an answer that says it, nothing crashes, and all is well again afterwards.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { httpCall } from '../support/http-call.ts';
import { portOf, startProgram, type Program } from '../support/program.ts';
import { startRawServer, type RawServer } from '../support/raw-server.ts';

const DESCRIPTORS = 128;
/** 45 % of them. */
const MOST = 57;
const CALLERS = 120;
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const hasPrlimit = process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0;

/** A caller's connection, and what has come on it. */
class Caller {
  text = '';
  closed = false;
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port });
    this.socket.setEncoding('latin1').on('data', (text: string) => (this.text += text));
    this.socket.on('error', () => undefined).on('close', () => (this.closed = true));
  }

  /** Waits until what came, or the end, satisfies `isEnough`. */
  async until(isEnough: (caller: Caller) => boolean): Promise<void> {
    while (!isEnough(this)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          this.socket.removeListener('data', go).removeListener('close', go);
          resolve();
        };
        this.socket.once('data', go).once('close', go);
      });
    }
  }
}

describe(
  'at the end of the file descriptors',
  { skip: !hasPrlimit && 'prlimit (util-linux) is not here', timeout: 30_000 },
  () => {
    let server: RawServer;
    let program: Program | undefined;
    let port = 0;
    /** Answers that the upstream holds back. */
    const held: Socket[] = [];
    let holds = false;
    const callers: Caller[] = [];
    after(async () => {
      for (const { socket } of callers) socket.destroy();
      await program?.kill();
      server.close();
    });
    const call = (): Caller => {
      const caller = new Caller(port);
      callers.push(caller);
      caller.socket.write(GET);
      return caller;
    };
    const metric = async (name: string): Promise<number> => {
      const { body } = await httpCall(portOf(program?.ready.admin), { path: '/metrics' });
      const line = body
        .toString()
        .split('\n')
        .find((each) => each.startsWith(`${name} `));
      return Number(line?.split(' ')[1]);
    };

    it('callers beyond the share are told so, those within it are served', async () => {
      server = await startRawServer((socket) => {
        socket.on('data', () => {
          if (holds) held.push(socket);
          else socket.write(OK);
        });
      });
      const args = ['run', '--listen', '0', '--to', `127.0.0.1:${server.port}`, '--admin', '0', '--health', '0'];
      program = await startProgram(args, 20_000, ['prlimit', `--nofile=${DESCRIPTORS}:${DESCRIPTORS}`]);
      port = portOf(program.ready.listeners?.[0]?.address);
      assert.equal(await metric('outrigger_downstream_connections_limit'), MOST);
      // They share few connections upstream, since they come one after the other.
      for (let i = 0; i < CALLERS; i++) {
        const caller = call();
        if (i < MOST) await caller.until(({ text }) => text.endsWith('ok'));
      }
      await Promise.all(callers.slice(MOST).map((caller) => caller.until(({ closed }) => closed)));
      const told = callers.slice(MOST).filter(({ text }) => text.includes('x-outrigger-reason: too_many_connections'));
      const reset = callers.slice(MOST).filter(({ text }) => text === '');
      assert.equal(told.length + reset.length, CALLERS - MOST);
      assert.ok(told.length > 0);
      assert.equal(await metric('outrigger_downstream_connections_refused_total'), CALLERS - MOST);
      assert.equal(await metric('outrigger_local_replies_total{kind="too_many_connections"}'), CALLERS - MOST);
      assert.match(
        program.log(),
        /"kind":"too_many_connections","detail":"57 connections are open, 45 % of the 128 files that this process may open"/,
      );
    });

    it('a call that finds no descriptor for its upstream is answered 502 and says why', async () => {
      holds = true;
      const open = callers.filter(({ closed }) => !closed);
      assert.equal(open.length, MOST);
      for (const caller of open) {
        caller.text = '';
        caller.socket.write(GET);
      }
      const failed = (): Caller[] => open.filter(({ text }) => text.includes('x-outrigger-reason: connect_failure'));
      await Promise.race(open.map((caller) => caller.until(({ text }) => text !== '')));
      while (failed().length + held.length < MOST) await new Promise((resolve) => setImmediate(resolve));
      assert.ok(failed().length > 0 && held.length > 0, `${failed().length} failed, ${held.length} under way`);
      for (const { text } of failed()) {
        assert.match(text, /^HTTP\/1\.1 502 /);
        assert.match(text, /no connection to the upstream: EMFILE: this process has no file descriptor left/);
      }
      // The rest finish, and the callers whose calls failed get through with the next.
      holds = false;
      for (const socket of held.splice(0)) socket.write(OK);
      await Promise.all(open.map((caller) => caller.until(({ text }) => /ok$|left[^]*$/.test(text))));
      for (const caller of open) {
        caller.text = '';
        caller.socket.write(GET);
        await caller.until(({ text, closed }) => closed || text.endsWith('ok'));
        assert.match(caller.text, /^HTTP\/1\.1 200 /);
      }
    });

    it('it recovers: as many callers as before, and a clean end', async () => {
      for (const { socket } of callers.splice(0)) socket.destroy();
      const deadline = Date.now() + 5000;
      while ((await metric('outrigger_downstream_connections{version="1"}')) > 0) assert.ok(Date.now() < deadline);
      for (let i = 0; i < MOST; i++) {
        const caller = call();
        await caller.until(({ text, closed }) => closed || text.endsWith('ok'));
        assert.match(caller.text, /^HTTP\/1\.1 200 /);
      }
      for (const { socket } of callers.splice(0)) socket.destroy();
      assert.equal(await program?.stop(), 0);
      program = undefined;
    });
  },
);
