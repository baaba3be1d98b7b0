// What sidecars do while an ApisixUpstream is refused, across edits and a restart of the control plane: programs, files
// and calls as users have them.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { httpCall } from '../../support/http-call.ts';
import { portOf, type Program, startProgram } from '../../support/program.ts';

const apisix = (spec: string): string =>
  `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: f}\nspec: ${spec}\n`;
const GOOD = apisix('{passHost: rewrite, upstreamHost: rewritten.example}');
const REFUSED = apisix('{passHost: rewrite, upstreamHost: rewritten.example, retires: 3}');
const SERVICE = 'apiVersion: v1\nkind: Service\nmetadata: {name: f}\nspec:\n  ports: [{port: 7400}]\n';

/** A backend that says its name and the Host that it got. */
async function backend(context: TestContext, name: string): Promise<number> {
  const server: Server = createServer((request, response) => response.end(`${name} ${request.headers.host ?? ''}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const slice = (port: number): string =>
  `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: f-1, labels: {kubernetes.io/service-name: f}}\nports: [{port: ${port}}]\nendpoints: [{addresses: [127.0.0.1]}]\n`;

class Fixture {
  readonly directory: string;
  private readonly context: TestContext;

  constructor(context: TestContext, directory: string) {
    this.context = context;
    this.directory = directory;
    context.after(() => rm(directory, { recursive: true, force: true }));
  }

  static async make(context: TestContext): Promise<Fixture> {
    return new Fixture(context, await mkdtemp(join(tmpdir(), 'outrigger-refused-')));
  }

  async write(...documents: string[]): Promise<void> {
    await writeFile(join(this.directory, 'f.yaml'), documents.join('---\n'));
  }

  control(ads = '0'): Promise<Program> {
    return this.start(['control', '--dir', this.directory, '--ads', ads]);
  }

  sidecar(ads: string | undefined): Promise<Program> {
    const ports = ['--admin', '0', '--health', '0', '--listener-ports', 'ephemeral'];
    return this.start(['run', '--control', ads ?? '', '--node-id', 'test', ...ports]);
  }

  private async start(args: readonly string[]): Promise<Program> {
    const program = await startProgram(args);
    this.context.after(() => program.kill());
    return program;
  }
}

async function answer(sidecar: Program): Promise<{ status: number; reason: unknown; text: string }> {
  const { status, headers, body } = await httpCall(portOf(sidecar.ready.listeners?.[0]?.address));
  return { status, reason: headers['x-outrigger-reason'], text: body.toString() };
}

/** Waits for an answer; all before it must be one of `meanwhile`. */
async function until(sidecar: Program, text: string, meanwhile: readonly string[]): Promise<void> {
  for (let i = 0; i < 400; i++) {
    const found = await answer(sidecar);
    if (found.text === text) return;
    assert.ok(meanwhile.includes(found.text), `${found.status} ${found.text}`);
    await delay(25);
  }
  assert.fail(`never ${text}\n${sidecar.log()}`);
}

async function untilLogged(program: Program, words: RegExp): Promise<void> {
  for (let i = 0; !words.test(program.log()); i++) {
    assert.ok(i < 400, `never ${String(words)}\n${program.log()}`);
    await delay(25);
  }
}

test('a control plane that restarts over a refused ApisixUpstream leaves sidecars the policy that they have', async (context) => {
  const fixture = await Fixture.make(context);
  const [one, two] = [await backend(context, 'one'), await backend(context, 'two')];
  await fixture.write(SERVICE, slice(one), GOOD);
  const first = await fixture.control();
  const ads = first.ready.ads ?? '';
  const sidecar = await fixture.sidecar(ads);
  await until(sidecar, 'one rewritten.example', []);
  await first.stop();
  // Another backend shows that the sidecar has heard of the second control plane.
  await fixture.write(SERVICE, slice(two), REFUSED);
  const second = await fixture.control(ads);
  assert.match(second.log(), /Service default\/f: has no policy, since its ApisixUpstream .*f\.yaml:\d+\) is refused/);
  await until(sidecar, 'two rewritten.example', ['one rewritten.example']);

  // A sidecar that never had the policy doesn't guess it.
  const fresh = await fixture.sidecar(ads);
  const { status, reason } = await answer(fresh);
  assert.deepEqual([status, reason], [503, 'no_endpoints']);

  await fixture.write(SERVICE, slice(two), GOOD.replace('rewritten', 'corrected'));
  await until(sidecar, 'two corrected.example', ['two rewritten.example']);
  await until(fresh, 'two corrected.example', [(await answer(fresh)).text, 'two corrected.example']);
});

test('a slip in a file with a refused object takes nothing out of force', async (context) => {
  const fixture = await Fixture.make(context);
  const [one, two] = [await backend(context, 'one'), await backend(context, 'two')];
  await fixture.write(SERVICE, slice(one), GOOD);
  const control = await fixture.control();
  const sidecar = await fixture.sidecar(control.ready.ads);
  await until(sidecar, 'one rewritten.example', []);
  await fixture.write(SERVICE, slice(one), REFUSED);
  await untilLogged(control, /ApisixUpstream default\/f: is refused: its last good version stays in force/);
  await fixture.write(SERVICE.replace('ports: [{', 'ports: [[{'), slice(one), REFUSED);
  await untilLogged(control, /nothing of this file changes: what was in force stays so/);
  assert.equal((await answer(sidecar)).text, 'one rewritten.example');
  await fixture.write(SERVICE.replace('port:', 'prt:'), slice(two), REFUSED);
  // The slice is good, and applies at once.
  await until(sidecar, 'two rewritten.example', ['one rewritten.example']);
  await untilLogged(control, /Service default\/f: is refused: its last good version stays in force/);
  assert.equal((await answer(sidecar)).text, 'two rewritten.example');
});
