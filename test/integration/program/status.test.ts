// `outrigger status` beside a running control plane and sidecars: exit 0 where all is well, 1 where not, 2 where it can't be told.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '../../../src/base/clock.ts';
import { AdsServer } from '../../../src/controlplane/ads-server.ts';
import { SnapshotCache } from '../../../src/controlplane/snapshot-cache.ts';
import type { NativeObject } from '../../../src/controlplane/source.ts';
import { Translator } from '../../../src/controlplane/translate/translator.ts';
import { Listener } from '../../../src/gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../../../src/gen/outrigger/config/v1/sidecar.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { type Program, portOf, runProgram, startProgram } from '../../support/program.ts';
import { closedPort } from '../../support/raw-server.ts';

const GRPCURL = join(homedir(), '.cache/outrigger-tools/bin/grpcurl');
const grpcurlMissing = existsSync(GRPCURL) ? false : `${GRPCURL} is not installed`;
const SERVICE = `{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}`;
const SLICE = `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}, ports: [{port: 8080}], endpoints: [{addresses: ["127.0.0.1"]}]}`;

const directory = mkdtempSync(join(tmpdir(), 'outrigger-status-'));
const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
let control: Program;
const sidecars: Program[] = [];

before(async () => {
  write('web.yaml', `${SERVICE}\n---\n${SLICE}\n`);
  control = await startProgram(['control', '--dir', directory, '--ads', '0']);
  for (const id of ['one', 'two']) {
    const where = ['--control', control.ready.ads ?? '', '--node-id', id, '--listener-ports', 'ephemeral'];
    sidecars.push(await startProgram(['run', '--admin', '0', '--health', '0', ...where]));
  }
});

after(async () => {
  for (const program of [...sidecars, control]) await program.kill();
  rmSync(directory, { recursive: true, force: true });
});

function native(
  resourceKind: NativeObject['resourceKind'],
  name: string,
  writer: { finish(): Uint8Array },
): NativeObject {
  return { kind: 'native', resourceKind, name, bytes: writer.finish(), origin: { file: 'test', line: 1, column: 1 } };
}

const status = (...args: string[]) => runProgram(['status', ...args]);
const ads = (): string => control.ready.ads ?? '';
const admin = (): string => String(portOf(sidecars[0]?.ready.admin));

/** Asks until the exit status is this one. */
async function statusOnce(wanted: number, ...args: string[]): Promise<string> {
  const clock = systemClock();
  const start = clock.nowMs;
  for (;;) {
    const done = await status(...args);
    if (done.status === wanted) return done.out;
    assert.ok(clock.refresh() - start < 20_000, `${done.out}${done.log}`);
  }
}

describe('outrigger status', () => {
  it('--control: a line for each sidecar, and exit 0 while all are in sync', async () => {
    const out = await statusOnce(0, '--control', ads());
    assert.match(out, /^NODE {2}VERSION +SINCE +STATE$/m);
    for (const id of ['one', 'two']) {
      assert.match(out, new RegExp(`^${id} +outrigger/\\S+ +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\dZ +SYNCED$`, 'm'));
    }
    assert.match(out, /^2 sidecars: 2 in sync, 0 waiting, 0 refusing$/m);
  });

  it('--control --json is the JSON of ListSidecars', async () => {
    const answer = JSON.parse(await statusOnce(0, '--control', ads(), '--json')) as {
      sidecars: { nodeId: string; state: string; types: { typeUrl: string }[] }[];
    };
    assert.deepEqual(
      answer.sidecars.map(({ nodeId, state }) => [nodeId, state]),
      [
        ['one', 'SYNC_STATE_SYNCED'],
        ['two', 'SYNC_STATE_SYNCED'],
      ],
    );
    assert.ok(answer.sidecars[0]?.types.some(({ typeUrl }) => typeUrl.endsWith('.Listener')));
  });

  it('without --control: the sidecar itself', async () => {
    const out = await statusOnce(0, '--admin', admin());
    assert.match(out, /^node +one$/m);
    assert.match(out, new RegExp(`^control +${ads()}, connected since `, 'm'));
    assert.match(out, /^listeners +1 bound$/m);
    assert.match(out, /^state +well$/m);
    const answer = JSON.parse(await statusOnce(0, '--admin', admin(), '--json')) as { nodeId: string };
    assert.equal(answer.nodeId, 'one');
  });

  it('what a sidecar refuses is shown on both sides by its name with the reason, and exit 1', async () => {
    // The control plane of the program sends nothing that it knows to be refused; this one does.
    const cache = new SnapshotCache();
    const translator = new Translator();
    const serve = (type: string): void => {
      const upstream = Upstream.fromPartial({ name: 'default/web', type, nodes: [{ host: '127.0.0.1', port: 1 }] });
      const targets = [{ upstream: 'default/web', servicePort: 80 }];
      cache.put(
        translator.translate([
          native('Sidecar', 'default', Sidecar.encode(Sidecar.fromPartial({ name: 'default', listeners: ['l'] }))),
          native('Listener', 'l', Listener.encode(Listener.fromPartial({ name: 'l', port: 80, targets }))),
          native('Upstream', 'default/web', Upstream.encode(upstream)),
        ]),
      );
    };
    serve('roundrobin');
    const logger = { level: 'fatal' as const, isOn: () => false, log: () => undefined };
    const server = new AdsServer({ host: '127.0.0.1', port: 0, cache, clock: systemClock(), logger });
    const at = await server.start();
    const where = ['--control', at, '--node-id', 'picky', '--listener-ports', 'ephemeral'];
    const picky = await startProgram(['run', '--admin', '0', '--health', '0', ...where]);
    const its = String(portOf(picky.ready.admin));
    try {
      await statusOnce(0, '--control', at);
      await statusOnce(0, '--admin', its);
      serve('rondrobin');
      const applied = await server.awaitApplied([{ kind: 'Upstream', name: 'default/web' }], 10_000);
      assert.deepEqual(
        applied.refused.map(({ nodeId }) => nodeId),
        ['picky'],
      );
      const out = await statusOnce(1, '--control', at);
      assert.match(out, /^picky .* REFUSED\n {2}refused since \S+ \S+Z: Upstream default\/web: type: .*rondrobin/m);
      assert.match(out, /^1 sidecar: 0 in sync, 0 waiting, 1 refusing$/m);
      const own = await statusOnce(1, '--admin', its);
      assert.match(own, /^ {2}Upstream default\/web is refused \(version \w+; version \w+ stays in force\): type: /m);
      serve('roundrobin');
      await statusOnce(0, '--control', at);
      await statusOnce(0, '--admin', its);
    } finally {
      await picky.kill();
      await server.stop();
    }
  });

  it('--control over TLS, with the flags and variables that run has', async () => {
    const [authority, stranger] = [await issueAuthority(), await issueAuthority({ commonName: 'stranger' })];
    const server = await issueCertificate(authority, { ips: ['127.0.0.1'], usage: ['server'] });
    const own = await issueCertificate(authority, { uris: ['spiffe://example.org/ns/a/sa/op'], usage: ['client'] });
    const pem = (name: string, text: string): string => {
      write(name, text);
      return join(directory, name);
    };
    const [ca, other] = [pem('ca.pem', authority.certificatePem), pem('other.pem', stranger.certificatePem)];
    const [cert, key] = [pem('server.pem', server.chain), pem('server-key.pem', server.keyPem)];
    const pair = ['--control-cert', pem('own.pem', own.chain), '--control-key', pem('own-key.pem', own.keyPem)];
    const tls = ['--ads', '0', '--ads-cert', cert, '--ads-key', key, '--ads-client-ca', ca];
    const secure = await startProgram(['control', '--dir', directory, ...tls]);
    const at = ['--control', secure.ready.ads ?? ''];
    try {
      const good = await status(...at, '--control-ca', ca, ...pair);
      assert.deepEqual([good.status, good.out], [0, 'no sidecar is connected\n'], good.log);
      const byVariable = await runProgram(['status', ...at, ...pair], { OUTRIGGER_CONTROL_CA: ca });
      assert.equal(byVariable.status, 0, byVariable.log);
      for (const [args, problem] of [
        [[...at], /can't reach .* there, in plaintext \(TLS: --control-ca FILE\): /],
        [[...at, '--control-ca', other, ...pair], /can't reach .* there, over TLS: .*certificate/],
        [[...at, '--control-ca', ca], /can't reach .* there, over TLS: /],
        [[...at, '--control-ca', key], /--control-ca .*server-key\.pem: the list of authorities is a private key/],
        [[...at, '--control-cert', ca], /--control-cert: needs --control-key/],
        [['--control-ca', ca], /--control-ca needs --control HOST:PORT/],
      ] as const) {
        const done = await status(...args);
        assert.equal(done.status, 2, `${args.join(' ')}: ${done.out}${done.log}`);
        assert.match(done.log, problem);
      }
    } finally {
      await secure.kill();
    }
  });

  it('the same by grpcurl and reflection', { skip: grpcurlMissing }, async () => {
    const args = ['-plaintext', '-d', '{"node_id_prefix": "t"}', ads(), 'outrigger.admin.v1.ControlPlane/ListSidecars'];
    const { stdout } = await promisify(execFile)(GRPCURL, args, { timeout: 20_000 });
    const answer = JSON.parse(stdout) as { sidecars: { nodeId: string; version: string }[] };
    assert.deepEqual(
      answer.sidecars.map(({ nodeId }) => nodeId),
      ['two'],
    );
  });

  it('exit 2 where it cannot be told, with what to do', async () => {
    const closed = await closedPort();
    for (const [args, problem] of [
      [
        ['--control', `127.0.0.1:${closed}`],
        /can't reach the ADS port of a control plane there, in plaintext \(TLS: --control-ca FILE\): .*ECONNREFUSED/,
      ],
      [['--admin', String(closed)], /can't reach the admin port of a sidecar there, in plaintext: .*ECONNREFUSED/],
      [['--control', `127.0.0.1:${admin()}`], /it is not the ADS port of a control plane, or one of another version/],
      [['--admin', ads()], /it is not the admin port of a sidecar, or one of another version/],
      [['--control', 'a:b'], /--control: port 'b' must be between 1 and 65535/],
      [['--control', ads(), '--admin', admin()], /--control and --admin: a control plane or a sidecar, not both/],
      [['one'], /unexpected argument 'one'/],
    ] as const) {
      const done = await status(...args);
      assert.equal(done.status, 2, `${args.join(' ')}: ${done.out}${done.log}`);
      assert.match(done.log, problem);
      assert.equal(done.out, '');
    }
  });
});
