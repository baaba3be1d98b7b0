// What a flood costs the program, as a user runs it: the CPU time of the process from the attacker's connect to the end
// of its connection, read from /proc, and what stays resident after all of them. Each flood is sent twice and the second
// counts, since the first pays for compiling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLOODS, CLIENT_STREAMS, grpcRequest, sendFlood, until, type Flood } from '../support/h2-floods.ts';
import { GrpcCaller, startHonestServer } from '../support/h2-honest.ts';
import { headers } from '../support/h2-peer.ts';
import { connectRawH2, startRawH2Server, type RawH2Connection } from '../support/h2-raw.ts';
import { cpuMs, hasProc, residentBytes } from '../support/process-memory.ts';
import { portOf, startProgram, type Program } from '../support/program.ts';

const MAX_CPU_MS = 150;
const MOST = 1000;
const INITIAL_WINDOW_SIZE = 4;
const MIB = 1024 * 1024;

interface Cost {
  readonly acts: number;
  readonly cpuMs: number;
}

async function cost(
  program: Program,
  flood: Flood,
  role: 'client' | 'server',
  open: () => Promise<{ attacker: RawH2Connection; stream: number; close: () => void }>,
): Promise<Cost> {
  const pid = program.process.pid ?? 0;
  const { attacker, stream, close } = await open();
  const before = cpuMs(pid);
  const streams = role === 'client' ? CLIENT_STREAMS : { role, open: stream, lost: stream };
  attacker.send(...(flood.before?.(streams) ?? []));
  const { acts } = await sendFlood(attacker, flood, streams, flood.most ?? MOST, () => attacker.ended);
  await until(() => attacker.ended, `the end after ${acts}`);
  const spent = cpuMs(pid) - before;
  attacker.destroy();
  close();
  return { acts, cpuMs: spent };
}

test('each flood costs the program little', { skip: !hasProc }, async (t) => {
  let hold: ((connection: RawH2Connection, id: number) => void) | undefined;
  const bad = await startRawH2Server((connection) => {
    connection.onFrame = ({ type, id }) => void (type === 'HEADERS' && hold?.(connection, id));
  });
  const good = await startHonestServer();
  const program = await startProgram([
    ...['run', '--listen', '0', '--to', `127.0.0.1:${good.port}`, '--scheme', 'grpc'],
    ...['--listen', '0', '--to', `127.0.0.1:${bad.port}`, '--scheme', 'grpc', '--admin', '0', '--health', '0'],
  ]);
  try {
    const [goodPort, badPort] = (program.ready.listeners ?? []).map(({ address }) => portOf(address));
    assert.ok(goodPort !== undefined && badPort !== undefined);
    const canary = new GrpcCaller(goodPort);
    const asCaller = async (flood: Flood): Promise<Cost> => {
      const window = flood.window === undefined ? [] : [INITIAL_WINDOW_SIZE, flood.window];
      const spent = await cost(program, flood, 'client', async () => {
        const attacker = await connectRawH2(goodPort, window);
        attacker.send(headers(CLIENT_STREAMS.open, grpcRequest(flood.path ?? '/hold'), flood.path !== undefined));
        await until(() => good.open.size === 1 && attacker.seen('SETTINGS') > 0, 'the open call');
        return { attacker, stream: CLIENT_STREAMS.open, close: () => undefined };
      });
      await until(() => good.open.size === 0, 'the work is not wanted');
      return spent;
    };
    const asEndpoint = (flood: Flood): Promise<Cost> =>
      cost(program, flood, 'server', async () => {
        const caller = new GrpcCaller(badPort);
        const held = new Promise<{ attacker: RawH2Connection; stream: number; close: () => void }>((resolve) => {
          hold = (attacker, stream) => resolve({ attacker, stream, close: () => caller.close() });
        });
        void caller.call('/call');
        return held;
      });
    const worst: string[] = [];
    const run = async (
      floods: readonly Flood[],
      from: string,
      send: (flood: Flood) => Promise<Cost>,
    ): Promise<void> => {
      for (const flood of floods) {
        await send(flood);
        let spent = await send(flood);
        // A collection of the whole heap may have come in between; hardly twice.
        if (spent.cpuMs > MAX_CPU_MS) spent = await send(flood);
        const { acts, cpuMs } = spent;
        t.diagnostic(`${from}: ${flood.name}: ${acts} sent, ${cpuMs.toFixed(1)} ms of CPU`);
        if (cpuMs > MAX_CPU_MS) worst.push(`${flood.name} ${cpuMs}`);
        assert.equal((await canary.call('/after')).grpcStatus, 0);
      }
    };
    // Whoever doesn't read can't see when it was cut either.
    const readers = FLOODS.filter(({ deaf }) => deaf !== true);
    const before = residentBytes(program.process.pid ?? 0);
    await run(
      readers.filter(({ from }) => from !== 'server'),
      'caller',
      asCaller,
    );
    await run(
      readers.filter(({ from }) => from !== 'client'),
      'endpoint',
      asEndpoint,
    );
    const grown = residentBytes(program.process.pid ?? 0) - before;
    t.diagnostic(`resident: ${(before / MIB).toFixed(1)} MiB before, ${(grown / MIB).toFixed(1)} MiB more after`);
    assert.deepEqual(worst, []);
    canary.close();
  } finally {
    assert.equal(await program.stop(), 0, program.log());
    bad.close();
    good.close();
  }
});
