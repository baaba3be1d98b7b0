// Nodes in the program as users write them: priorities that are said and not said, and names that the machine's hosts file
// knows. The file is the test's own where the system lets a process have its own view of files (Linux, user namespaces).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { httpCall } from '../../support/http-call.ts';
import { portOf, startProgram, type Program } from '../../support/program.ts';
import { closedPort } from '../../support/raw-server.ts';
import { until } from '../../support/tls-peer.ts';

const closers: (() => unknown)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'outrigger-nodes-'));
  closers.push(() => rm(directory, { recursive: true, force: true }));
});

/** An HTTP server that answers with its address and port; returns its port. */
async function serve(address = '127.0.0.1', port = 0): Promise<number> {
  const server: Server = createServer((_, response) => {
    const at = server.address() as AddressInfo;
    response.end(`${at.address}:${at.port}`);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
  closers.push(() => server.close().closeAllConnections());
  return (server.address() as AddressInfo).port;
}

async function start(...args: Parameters<typeof startProgram>): Promise<Program> {
  const program = await startProgram(...args);
  closers.push(() => program.stop());
  return program;
}

/** How often each endpoint answers. */
async function answers(port: number, calls: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < calls; i++) {
    const { status, body } = await httpCall(port);
    assert.equal(status, 200, body.toString());
    counts[body.toString()] = (counts[body.toString()] ?? 0) + 1;
  }
  return counts;
}

describe('priorities of nodes', () => {
  /** Nodes by the port of a listener; `live` and `other` answer, `dead` doesn't. */
  const NODES: Readonly<Record<number, (live: number, other: number, dead: number) => string>> = {
    7001: (live, other, dead) => `[${node(dead, 1)}, ${node(live)}, ${node(other, -1)}]`,
    7002: (live, other) => `[${node(live, 1)}, ${node(other)}]`,
    7003: (live, other, dead) => `[${node(dead)}, ${node(live, -1)}, ${node(other, -2)}]`,
    7004: (live, other) => `[${node(live)}, ${node(other, 0)}]`,
    7005: (live, other) => `{'127.0.0.1:${live}': 1, '127.0.0.1:${other}': 1}`,
  };
  const node = (port: number, priority?: number): string =>
    `{host: 127.0.0.1, port: ${port}, weight: 1${priority === undefined ? '' : `, priority: ${priority}`}}`;

  it('APISIX row 41: one that is not said is 0, between 1 and -1', async () => {
    const [live, other, dead] = [await serve(), await serve(), await closedPort()];
    const resource = (kind: string, name: string, spec: string): string =>
      `{apiVersion: outrigger.config/v1, kind: ${kind}, metadata: {${name}}, spec: ${spec}}`;
    const numbers = Object.keys(NODES).map(Number);
    const all = [
      resource(
        'Sidecar',
        'name: default',
        `{listeners: [${numbers.map((number) => `outbound/${number}`).join(', ')}]}`,
      ),
      ...numbers.flatMap((number) => [
        resource(
          'Listener',
          `name: outbound/${number}`,
          `{port: ${number}, targets: [{upstream: test/n${number}, service_port: ${number}}]}`,
        ),
        resource('Upstream', `namespace: test, name: n${number}`, `{nodes: ${NODES[number]!(live, other, dead)}}`),
      ]),
    ];
    const watched = await mkdtemp(join(directory, 'watched-'));
    await writeFile(join(watched, 'all.yaml'), all.join('\n---\n'));
    const control = await start(['control', '--dir', watched, '--ads', '0']);
    const sidecar = await start([
      ...['run', '--control', control.ready.ads ?? '', '--admin', '0', '--health', '0'],
      ...['--listener-ports', 'ephemeral'],
    ]);
    const at = (number: number): number =>
      portOf(sidecar.ready.listeners?.find(({ name }) => name === `outbound/${number}`)?.address);
    const [here, there] = [`127.0.0.1:${live}`, `127.0.0.1:${other}`];
    assert.deepEqual(await answers(at(7001), 6), { [here]: 6 }, 'after 1, before -1');
    assert.deepEqual(await answers(at(7002), 6), { [here]: 6 }, 'not beside 1');
    assert.deepEqual(await answers(at(7003), 6), { [here]: 6 }, 'left for -1, and not for -2');
    assert.deepEqual(await answers(at(7004), 6), { [here]: 3, [there]: 3 }, 'beside 0');
    assert.deepEqual(await answers(at(7005), 6), { [here]: 3, [there]: 3 }, 'the map form says none');
  });
});

/** A command that runs another one with `hosts` as the machine's hosts file, and no name server that answers. */
function withHosts(hosts: string, resolvConf: string): string[] {
  const script = 'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"';
  return ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', hosts, resolvConf];
}

describe('names of nodes', () => {
  it('localhost is found without a name server', async () => {
    const port = await serve();
    const sidecar = await start(['run', '--listen', '0', '--to', `localhost:${port}`, '--admin', '0', '--health', '0']);
    assert.deepEqual(await answers(portOf(sidecar.ready.listeners?.[0]?.address), 4), { [`127.0.0.1:${port}`]: 4 });
  });

  it('all addresses of a name take calls, the last ones stay when it is gone, and new ones are found', async (t) => {
    const hosts = join(directory, 'hosts');
    const resolvConf = join(directory, 'resolv.conf');
    const name = (...addresses: string[]): Promise<void> =>
      writeFile(hosts, addresses.map((address) => `${address} web.test\n`).join(''));
    await name('127.0.0.1', '127.0.0.2');
    await writeFile(resolvConf, 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n');
    const under = withHosts(hosts, resolvConf);
    const trial = spawnSync(under[0] ?? '', [...under.slice(1), 'true']);
    if (trial.status !== 0) {
      t.skip('a process gets no view of files of its own here (unshare)');
      return;
    }
    const port = await serve('127.0.0.1');
    for (const address of ['127.0.0.2', '127.0.0.3']) await serve(address, port);
    const args = ['run', '--listen', '0', '--to', `web.test:${port}`, '--admin', '0', '--health', '0'];
    const sidecar = await start(args, 20_000, under);
    const listener = portOf(sidecar.ready.listeners?.[0]?.address);
    const both = { [`127.0.0.1:${port}`]: 3, [`127.0.0.2:${port}`]: 3 };
    assert.deepEqual(await answers(listener, 6), both);
    await name();
    // The file is looked at every 5 s.
    await until(() => sidecar.log().includes("DNS name isn't found"), 'the log says that the name is gone');
    assert.match(sidecar.log(), /"inUse":\["127\.0\.0\.1","127\.0\.0\.2"\]/);
    assert.deepEqual(await answers(listener, 6), both, 'the last answer stays');
    await name('127.0.0.3');
    await until(() => sidecar.log().includes('DNS name is found again'), 'the log says that it is back');
    const found = await (async () => {
      for (let i = 0; ; i++) {
        const now = await answers(listener, 2);
        if (now[`127.0.0.3:${port}`] === 2 || i === 100) return now;
      }
    })();
    assert.deepEqual(found, { [`127.0.0.3:${port}`]: 2 });
  });
});
