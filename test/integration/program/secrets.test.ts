// mTLS on every side as a user sets it up, and where the private keys of it may not be seen: dumps, pages, metrics, logs,
// arguments, the state directory, findings. What needs a Secret that is missing fails closed, and all else serves.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createPlainServer } from 'node:http';
import { createServer, request, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { adminClient, type AdminClient } from '../../support/admin-client.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { httpCall } from '../../support/http-call.ts';
import { portOf, runProgram, startProgram, type Program } from '../../support/program.ts';

const closers: (() => unknown)[] = [];
let directory: string;
let certs: string;
let state: string;
let controlPlane: Program;
let sidecar: Program;
let admin: AdminClient;
let ca: string;
let backendPort: number;
let plainPort: number;
/** Every private key that plays a part, by what it is for. */
const keys = new Map<string, string>();

const file = (name: string): string => join(certs, name);
const indent = (pem: string, by: number): string => pem.trim().replaceAll('\n', `\n${' '.repeat(by)}`);

function kubernetesSecret(name: string, certificate: string, key: string): string {
  const encoded = (text: string): string => Buffer.from(text).toString('base64');
  return `apiVersion: v1
kind: Secret
metadata: {name: ${name}}
type: kubernetes.io/tls
data:
  tls.crt: ${encoded(certificate)}
  tls.key: ${encoded(key)}
  ca.crt: ${encoded(ca)}
`;
}

function service(name: string, port: number, endpointPort: number): string {
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {ports: [{name: main, port: ${port}}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${name}}}
addressType: IPv4
ports: [{name: main, port: ${endpointPort}}]
endpoints: [{addresses: ["127.0.0.1"]}]
`;
}

function secureListener(port: number, upstream: string, secret: string): string {
  return `apiVersion: outrigger.config/v1
kind: Listener
metadata: {name: outbound/${port}}
spec:
  port: ${port}
  targets: [{upstream: default/${upstream}, service_port: ${port}}]
  tls:
    certificates: [{secret: default/${secret}}]
    client_certificate: required
    client_ca: {secret: default/${secret}}
`;
}

/** One call over mTLS. */
function call(port: number, options: RequestOptions = {}): Promise<{ status: number; reason: string; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        servername: 'localhost',
        port,
        ca,
        headers: { host: 'localhost' },
        agent: false,
        ...options,
      },
      (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (text: string) => (body += text));
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            reason: String(answer.headers['x-outrigger-reason'] ?? ''),
            body,
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

async function identity(name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = await Promise.all(['', '-key'].map((part) => readFile(file(`${name}${part}.pem`), 'utf8')));
  return { cert: cert ?? '', key: key ?? '' };
}

function listenerPort(program: Program, port: number): number {
  const found = program.ready.listeners?.find(({ name }) => name === `outbound/${port}`);
  assert.ok(found, `no listener for ${port}`);
  return portOf(found.address);
}

async function startSidecar(withControl: boolean): Promise<Program> {
  const address = withControl ? controlPlane.ready.ads : '127.0.0.1:1';
  const program = await startProgram([
    ...['run', '--control', address ?? '', '--listener-ports', 'ephemeral', '--admin', '0', '--health', '0'],
    ...['--control-ca', file('ca.pem'), '--control-cert', file('client.pem'), '--control-key', file('client-key.pem')],
    ...['--state-dir', state, '--access-log', 'json', '--log-level', 'trace', '--node-id', 'canary'],
  ]);
  closers.push(() => program.kill());
  return program;
}

/** Every 48 characters of a key's PEM body, and of its base64, are as good as the key. */
function traces(pem: string): string[] {
  const body = pem.replace(/-----[^-]+-----/g, '').replace(/\s/g, '');
  const again = Buffer.from(pem).toString('base64');
  const cut = (text: string): string[] => text.match(/.{48}/g) ?? [];
  const der = Buffer.from(body, 'base64');
  return [...cut(body), ...cut(again), der.subarray(40, 64).toString('hex'), der.subarray(40, 64).toString('latin1')];
}

function assertNoKey(where: string, text: string): void {
  for (const [name, key] of keys) {
    for (const trace of traces(key)) assert.ok(!text.includes(trace), `${where} shows the key of ${name}`);
  }
  assert.ok(!text.includes('PRIVATE KEY-----'), `${where} shows a private key`);
}

/** Waits for what another process does. */
async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `${what} never came`);
    await delay(20);
  }
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'outrigger-secrets-'));
  certs = await mkdtemp(join(tmpdir(), 'outrigger-certs-'));
  state = await mkdtemp(join(tmpdir(), 'outrigger-state-'));
  closers.push(() => Promise.all([directory, certs, state].map((path) => rm(path, { recursive: true, force: true }))));
  const made = await runProgram(['certs', certs]);
  assert.equal(made.status, 0, made.log);
  ca = await readFile(file('ca.pem'), 'utf8');
  const server = await identity('server');
  const client = await identity('client');
  keys.set('server.pem', server.key);
  keys.set('client.pem', client.key);
  keys.set('spiffe.pem', (await identity('spiffe')).key);
  assertNoKey('certs', made.out + made.log);

  const backend = createServer(
    { cert: server.cert, key: server.key, ca, requestCert: true, rejectUnauthorized: true },
    (_, answer) => answer.end('secure'),
  );
  const plain = createPlainServer((_, answer) => answer.end('plain'));
  for (const one of [backend, plain]) {
    await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      one.closeAllConnections();
      one.close();
    });
  }
  backendPort = (backend.address() as AddressInfo).port;
  plainPort = (plain.address() as AddressInfo).port;

  const other = await issueCertificate(await issueAuthority(), { commonName: 'other' });
  keys.set('a Secret with a key that does not fit', other.keyPem);
  await writeFile(
    join(directory, 'a.yaml'),
    [
      kubernetesSecret('web-tls', server.cert, server.key),
      service('web', 8443, backendPort),
      `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: web, annotations: {outrigger.config/tls-ca-secret: default/web-tls}}
spec: {scheme: https, tlsSecret: {name: web-tls, namespace: default}}
`,
      secureListener(8443, 'web', 'web-tls'),
      // The same with its key in the Upstream itself, as APISIX has it.
      service('inline', 8444, backendPort),
      `apiVersion: outrigger.config/v1
kind: Upstream
metadata: {namespace: default, name: inline}
spec:
  scheme: https
  pass_host: rewrite
  upstream_host: localhost
  tls:
    client_cert: |
      ${indent(client.cert, 6)}
    client_key: |
      ${indent(client.key, 6)}
    ca: {secret: default/web-tls}
`,
      service('plain', 8080, plainPort),
      // What they need isn't there.
      service('lost', 8445, backendPort),
      `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: lost}
spec: {scheme: https, tlsSecret: {name: gone, namespace: default}}
`,
      service('shut', 8446, plainPort),
      secureListener(8446, 'shut', 'gone-too'),
    ].join('---\n'),
  );
  await writeFile(join(directory, 'b.yaml'), kubernetesSecret('broken', server.cert, other.keyPem));
  await writeFile(
    join(directory, 'c.yaml'),
    `kind: Secret\nmetadata: {name: x\ndata:\n  tls.key: "${other.keyPem.replaceAll('\n', '\\n')}\n`,
  );
  controlPlane = await startProgram([
    ...['control', '--dir', directory, '--ads', '0', '--log-level', 'trace'],
    ...['--ads-cert', file('server.pem'), '--ads-key', file('server-key.pem'), '--ads-client-ca', file('ca.pem')],
  ]);
  closers.push(() => controlPlane.kill());
  sidecar = await startSidecar(true);
  admin = adminClient(portOf(sidecar.ready.admin));
});

after(async () => {
  admin.close();
  for (const close of closers.reverse()) await close();
});

describe('mTLS everywhere, and its keys nowhere', () => {
  it('carries a call from mTLS to mTLS, with Secrets and with a key in the Upstream', async () => {
    const client = await identity('client');
    const secret = await call(listenerPort(sidecar, 8443), client);
    assert.deepEqual(secret, { status: 200, reason: '', body: 'secure' });
    const inline = await httpCall(listenerPort(sidecar, 8444));
    assert.equal(inline.body.toString(), 'secure');
  });

  it('disconnects a caller without a certificate, and says so in the log', async () => {
    await assert.rejects(call(listenerPort(sidecar, 8443)));
    await until(() => /tls_handshake_failure.*requires one/.test(sidecar.log()), 'the reason in the log');
  });

  it('what needs a missing Secret fails closed with that reason; all else serves', async () => {
    const lost = await httpCall(listenerPort(sidecar, 8445));
    assert.equal(lost.status, 503);
    assert.equal(lost.headers['x-outrigger-reason'], 'secret_missing');
    assert.match(lost.body.toString(), /default\/gone/);
    await assert.rejects(call(listenerPort(sidecar, 8446), await identity('client')));
    const { listeners } = await admin.getSnapshot({});
    assert.match(listeners.find(({ name }) => name === 'outbound/8446')?.error ?? '', /default\/gone-too/);
    assert.equal((await httpCall(listenerPort(sidecar, 8080))).body.toString(), 'plain');
  });

  it('shows no key in any answer of the admin port', async () => {
    const port = portOf(sidecar.ready.admin);
    const [snapshot, endpoints] = await Promise.all([admin.getSnapshot({}), admin.listEndpoints({})]);
    for (const [where, answer] of Object.entries({ GetSnapshot: snapshot, ListEndpoints: endpoints })) {
      assertNoKey(where, JSON.stringify(answer));
    }
    const upstream = snapshot.resources.find(({ kind, name }) => kind === 'Upstream' && name === 'default/inline');
    const { value } = (upstream as unknown as { resource: { value: Buffer } }).resource;
    assert.match(value.toString('latin1'), /\[redacted\]/);
    assertNoKey('the Upstream in GetSnapshot', value.toString('latin1'));
    for (const path of ['/', '/metrics', '/v1/healthcheck', '/v1/healthcheck/upstreams', '/ready']) {
      for (const accept of ['text/html', 'application/json']) {
        const page = await httpCall(port, { path, headers: { accept } });
        assertNoKey(path, page.body.toString());
      }
    }
  });

  it('shows no key in logs, arguments, findings and the state directory', async () => {
    // A rejected rotation is logged, and an edit writes the state anew.
    await writeFile(join(directory, 'd.yaml'), service('later', 8090, plainPort));
    await until(async () => {
      const { resources } = await admin.getSnapshot({ kind: 'Listener' });
      return resources.some(({ name, state: now }) => name === 'outbound/8090' && now === 'RESOURCE_STATE_ACKED');
    }, 'the edit');
    const lint = await runProgram(['lint', directory]);
    assert.equal(lint.status, 1);
    assert.match(lint.out, /b\.yaml/);
    assertNoKey('lint', lint.out + lint.log);
    assertNoKey('the log of the sidecar', sidecar.log());
    assertNoKey('the log of the control plane', controlPlane.log());
    for (const { pid } of [sidecar.process, controlPlane.process]) {
      const read = async (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, 'latin1').catch(() => '');
      assertNoKey('the arguments', (await read('cmdline')) + (await read('environ')));
    }
  });

  it('keeps no key on disk, and without its control plane serves what needs none', async () => {
    assert.equal(await sidecar.stop(), 0);
    const saved = await filesBelow(state);
    assert.ok(saved.length > 0);
    for (const path of saved) {
      const bytes = await readFile(path);
      const text = bytes.toString('latin1');
      assertNoKey(path, text);
      // Resources stand there as base64.
      for (const part of text.match(/[A-Za-z0-9+/=]{64,}/g) ?? []) {
        assertNoKey(path, Buffer.from(part, 'base64').toString('latin1'));
      }
    }
    await controlPlane.kill();
    const restarted = await startSidecar(false);
    assert.equal((await httpCall(listenerPort(restarted, 8080))).body.toString(), 'plain');
    for (const port of [8444, 8445]) {
      const answer = await httpCall(listenerPort(restarted, port));
      assert.equal(answer.headers['x-outrigger-reason'], 'secret_missing', `port ${port}`);
    }
    await assert.rejects(call(listenerPort(restarted, 8443), await identity('client')));
    assertNoKey('the log after the restart', restarted.log());
    assert.equal(await restarted.stop(), 0);
  });
});
