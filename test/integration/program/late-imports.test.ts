// What a plain sidecar doesn't need it doesn't import: a start costs what it reads, and so does memory at rest.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { adminClient } from '../../support/admin-client.ts';
import { httpCall } from '../../support/http-call.ts';
import { portOf, startProgram, type Program } from '../../support/program.ts';

/** Of packages and files whose cost is worth a late import; each stands for all that comes with it. */
const LATE = [
  '/@grpc/grpc-js/',
  '/@grpc/proto-loader/',
  '/prom-client/',
  '/yaml/',
  '/http2-wrapper/',
  '/@peculiar/x509/',
  '/reflect-metadata/',
  'node:http',
  'node:http2',
  '/src/admin/grpc-side.js',
  '/src/admin/http-pages.js',
  '/src/config/gateway.js',
  '/src/control/xds-client.js',
  '/src/discovery/dns-client.js',
  '/src/gen/envoy/',
  '/src/gen/grpc/',
  '/src/gen/outrigger/admin/',
  '/src/gen/outrigger/config/v1/gateway.js',
  '/src/plugin/plugins.js',
  '/src/route/route-table.js',
  '/src/runtime/live-gateway.js',
];

const RECORDER = new URL('../../support/record-imports.js', import.meta.url);
let directory: string;
let recorded: string;
let program: Program;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'outrigger-imports-'));
  recorded = join(directory, 'imports');
  const recording = ['env', `RECORDED_IMPORTS=${recorded}`, `NODE_OPTIONS=--import=${RECORDER.href}`];
  const args = ['run', '--listen', '0', '--to', '127.0.0.1:9', '--admin', '0', '--health', '0'];
  program = await startProgram(args, undefined, recording);
});

after(async () => {
  await program.kill();
  await rm(directory, { recursive: true, force: true });
});

async function imported(): Promise<string[]> {
  const urls = (await readFile(recorded, 'utf8')).split('\n');
  return LATE.filter((part) => urls.some((url) => url.includes(part)));
}

test('a plain start imports none of the parts that it may never need', async () => {
  assert.match(await readFile(recorded, 'utf8'), /\/src\/app\.js\n/);
  assert.deepEqual(await imported(), []);
});

/** Opens an HTTP/2 connection and returns the type of the first frame that comes: 4 is SETTINGS (RFC 9113 section 6). */
async function firstFrameType(port: number): Promise<number | undefined> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
  for await (const chunk of socket) return (chunk as Buffer)[3];
  return undefined;
}

test('the first calls of the admin port import what answers them, also when they come at once', async () => {
  const port = portOf(program.ready.admin);
  const client = adminClient(port);
  try {
    const [frames, snapshot, ready, metrics] = await Promise.all([
      Promise.all([firstFrameType(port), firstFrameType(port), firstFrameType(port)]),
      client.getSnapshot({}),
      httpCall(port, { path: '/ready' }),
      httpCall(port, { path: '/metrics' }),
    ]);
    assert.deepEqual(frames, [4, 4, 4]);
    assert.equal(snapshot.listeners.length, 1);
    assert.equal(ready.status, 200);
    assert.match(metrics.body.toString(), /^outrigger_/m);
  } finally {
    client.close();
  }
  const now = await imported();
  for (const part of ['/@grpc/grpc-js/', '/prom-client/', '/src/admin/grpc-side.js'])
    assert.ok(now.includes(part), part);
  assert.ok(!now.includes('/src/control/xds-client.js'));
});
