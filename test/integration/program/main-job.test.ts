// The main job as users do it: `control --dir` with the ApisixUpstream document's foo, `run --control`, and calls of every
// kind on both ports, while the configuration is edited, broken, and its control plane killed and restarted.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  Metadata,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { adminClient, type AdminClient } from '../../support/admin-client.ts';
import { greeterClient, startGreeter, type GreeterClient } from '../../support/greeter.ts';
import { httpCall } from '../../support/http-call.ts';
import { portOf, runProgram, startProgram, type Program } from '../../support/program.ts';

const closers: (() => unknown)[] = [];
let directory: string;
let controlPlane: Program;
let sidecar: Program;
let admin: AdminClient;
let httpPort: number;
let grpcPort: number;
let greeter: GreeterClient;
const backends: { name: string; port: number }[] = [];
let grpcBackend: number;

const FOO = `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata:
  name: foo
spec:
  loadbalancer:
    type: roundrobin
  portLevelSettings:
  - port: 7000
    scheme: http
  - port: 7001
    scheme: grpc
---
apiVersion: v1
kind: Service
metadata:
  name: foo
spec:
  selector:
    app: foo
  ports:
  - name: http
    port: 7000
    targetPort: 7000
  - name: grpc
    port: 7001
    targetPort: 7001
`;

function slice(name: string, port: string, number: number): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: foo-${name}
  labels: {kubernetes.io/service-name: foo}
addressType: IPv4
ports: [{name: ${port}, port: ${number}}]
endpoints: [{addresses: ["127.0.0.1"]}]
`;
}

async function writeSlices(http: readonly { name: string; port: number }[]): Promise<void> {
  const documents = [...http.map(({ name, port }) => slice(name, 'http', port)), slice('grpc', 'grpc', grpcBackend)];
  await writeFile(join(directory, 'slices.yaml'), documents.join('---\n'));
}

async function startBackend(name: string): Promise<{ name: string; port: number }> {
  const server = createServer((_, response) => response.end(name));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { name, port: (server.address() as AddressInfo).port };
}

async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return;
    await delay(25);
  }
  assert.fail(`never: ${what}\n${sidecar.log()}\n${controlPlane.log()}`);
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'outrigger-main-job-'));
  backends.push(await startBackend('one'), await startBackend('two'), await startBackend('three'));
  const { port, server } = await startGreeter({
    greet: (call: ServerUnaryCall<{ name: string }, object>, done: sendUnaryData<object>) =>
      call.request.name === ''
        ? done({ code: status.INVALID_ARGUMENT, details: 'a name is needed' })
        : done(null, { message: `hello ${call.request.name}` }),
    count: (call: ServerWritableStream<{ to: number }, object>) => {
      for (let number = 1; number <= call.request.to; number++) call.write({ number });
      call.end();
    },
    join: (call: ServerReadableStream<{ word: string }, object>, done: sendUnaryData<object>) => {
      const words: string[] = [];
      call.on('data', ({ word }: { word: string }) => words.push(word));
      call.on('end', () => done(null, { line: words.join(' ') }));
    },
    chat: (call: ServerDuplexStream<{ text: string }, object>) => {
      call.on('data', (message: { text: string }) => call.write({ text: message.text }));
      call.on('end', () => call.end());
    },
  });
  closers.push(() => server.forceShutdown());
  grpcBackend = port;
  await writeFile(join(directory, 'foo.yaml'), FOO);
  await writeSlices(backends.slice(0, 2));
  controlPlane = await startProgram(['control', '--dir', directory, '--ads', '0']);
  sidecar = await startProgram([
    ...['run', '--control', controlPlane.ready.ads ?? '', '--admin', '0', '--health', '0'],
    ...['--listener-ports', 'ephemeral', '--node-id', 'test'],
  ]);
  const listener = (name: string): number =>
    portOf(sidecar.ready.listeners?.find((candidate) => candidate.name === name)?.address);
  httpPort = listener('outbound/7000');
  grpcPort = listener('outbound/7001');
  greeter = greeterClient(grpcPort);
  admin = adminClient(portOf(sidecar.ready.admin));
  closers.push(
    () => greeter.close(),
    () => admin.close(),
  );
});

after(async () => {
  for (const close of closers) close();
  assert.equal(await sidecar?.stop(), 0);
  assert.equal(await controlPlane?.stop(), 0);
  await rm(directory, { recursive: true, force: true });
});

function greet(name: string): Promise<{ error: ServiceError | null; message: string }> {
  return new Promise((resolve) => {
    greeter.greet({ name }, new Metadata(), { deadline: Date.now() + 5000 }, (error, response) =>
      resolve({ error, message: response?.message ?? '' }),
    );
  });
}

describe('the main job', () => {
  it('carries HTTP on 7000, balanced', async () => {
    const seen = new Map<string, number>();
    for (let i = 0; i < 10; i++) {
      const { body } = await httpCall(httpPort);
      seen.set(body.toString(), (seen.get(body.toString()) ?? 0) + 1);
    }
    assert.deepEqual(Object.fromEntries(seen), { one: 5, two: 5 });
  });

  it('carries gRPC on 7001: all four kinds of call, and an error status', async () => {
    assert.equal((await greet('foo')).message, 'hello foo');
    assert.equal((await greet('')).error?.code, status.INVALID_ARGUMENT);
    const numbers: unknown[] = [];
    for await (const message of greeter.count({ to: 20 })) numbers.push(message);
    assert.equal(numbers.length, 20);
    const line = await new Promise((resolve, reject) => {
      const join = greeter.join((error, response) => (error ? reject(error) : resolve(response?.line)));
      for (const word of ['client', 'streaming', 'works']) join.write({ word });
      join.end();
    });
    assert.equal(line, 'client streaming works');
    const chat = greeter.chat();
    chat.write({ text: 'a' });
    const [answer] = await new Promise<{ text: string }[]>((resolve) => chat.once('data', (data) => resolve([data])));
    assert.equal(answer?.text, 'a');
    chat.end();
    await new Promise((resolve) => chat.once('end', resolve));
  });

  it('shows every resource as ACKED with the version in force', async () => {
    const { resources } = await admin.getSnapshot({});
    const shown = resources.map(({ kind, name, state }) => `${kind} ${name} ${state}`);
    for (const wanted of [
      'Listener outbound/7000 RESOURCE_STATE_ACKED',
      'Listener outbound/7001 RESOURCE_STATE_ACKED',
      'Upstream default/foo RESOURCE_STATE_ACKED',
      'Endpoints default/foo/7000 RESOURCE_STATE_ACKED',
      'Endpoints default/foo/7001 RESOURCE_STATE_ACKED',
    ]) {
      assert.ok(shown.includes(wanted), `${wanted} in ${shown.join(', ')}`);
    }
  });

  it('an edit takes effect within a second, without a failed call in 10,000 under load', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const seen = new Set<string>();
    let calls = 0;
    let failed = 0;
    let editedAtMs = 0;
    let seenAfterMs = Infinity;
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (calls < 10_000) {
          if (++calls === 3000) {
            editedAtMs = Date.now();
            void writeSlices(backends.slice(1));
          }
          const answer = await httpCall(httpPort, { agent }).catch(() => undefined);
          const body = answer?.body.toString() ?? '';
          if (answer?.status !== 200) failed++;
          if (body === 'three' && !seen.has('three')) seenAfterMs = Date.now() - editedAtMs;
          seen.add(body);
        }
      }),
    );
    agent.destroy();
    assert.equal(failed, 0);
    assert.ok(seenAfterMs < 1000, `${seenAfterMs} ms`);
  });

  it('a broken edit changes nothing, and control and lint report it with place and fix', async () => {
    await writeFile(join(directory, 'foo.yaml'), FOO.replace('scheme: grpc', 'scheme: grcp'));
    await until(() => controlPlane.log().includes('grcp'), 'reported');
    assert.match(controlPlane.log(), /did you mean 'grpc'/);
    const lint = await runProgram(['lint', directory]);
    assert.equal(lint.status, 1);
    assert.match(lint.out, /foo\.yaml:12:\d+: error: .*grcp/);
    assert.equal((await greet('still')).message, 'hello still');
    await writeFile(join(directory, 'foo.yaml'), FOO);
    assert.equal((await runProgram(['lint', directory])).status, 0);
  });

  it('killing the control plane changes nothing for callers; when it is back, edits arrive', async () => {
    const address = controlPlane.ready.ads ?? '';
    await controlPlane.kill();
    for (let i = 0; i < 5; i++) assert.equal((await httpCall(httpPort)).status, 200);
    assert.equal((await greet('alone')).message, 'hello alone');
    controlPlane = await startProgram(['control', '--dir', directory, '--ads', address]);
    await writeSlices(backends);
    await until(async () => {
      const { endpoints } = await admin.listEndpoints({ servicePort: 7000 });
      return endpoints.length === 3;
    }, 'edit arrives');
  });
});
