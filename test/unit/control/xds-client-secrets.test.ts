import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Logger } from '../../../src/base/log.ts';
import type { ControlCredentials } from '../../../src/control/channel-security.ts';
import type { OpenAdsStream } from '../../../src/control/ads-stream.ts';
import { contentVersion } from '../../../src/control/content-version.ts';
import type { DeliveredResource } from '../../../src/control/subscription.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';
import type { TestCertificate } from '../../support/certificates.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import type { FakeStream } from '../../support/fake-ads.ts';
import { delivered } from '../../support/fake-ads.ts';
import type { Harness } from './client-harness.ts';
import { endpoints, listener, ONE, sidecar, start, TLS, TWO, upstream } from './client-harness.ts';

const LOOPBACK = { host: '127.0.0.1', port: 15010 };
const root = mkdtempSync(join(tmpdir(), 'outrigger-secrets-'));
after(() => rmSync(root, { recursive: true, force: true }));

let one: TestCertificate;
let two: TestCertificate;
before(async () => {
  const authority = await issueAuthority();
  one = await issueCertificate(authority, { dns: ['one.example'] });
  two = await issueCertificate(authority, { dns: ['two.example'] });
});

const secret = (name: string, version: string, { chain, keyPem }: TestCertificate): DeliveredResource =>
  delivered('Secret', name, version, { certificate: Buffer.from(chain), privateKey: Buffer.from(keyPem) });
const tlsListener = (name: string, version: string, secretName: string, ...upstreams: string[]): DeliveredResource =>
  delivered('Listener', name, version, {
    port: 7443,
    targets: upstreams.map((upstream) => ({ upstream, servicePort: 80 })),
    tls: { certificates: [{ secret: secretName }] },
  });
const tlsUpstream = (name: string, version: string, clientCertId: string): DeliveredResource =>
  delivered('Upstream', name, version, { desc: version, scheme: 'https', tls: { clientCertId } });
const keyedUpstream = (name: string, version: string, { chain, keyPem }: TestCertificate): DeliveredResource =>
  delivered('Upstream', name, version, {
    desc: version,
    scheme: 'https',
    tls: { clientCert: chain, clientKey: keyPem },
  });
const shown = ({ bytes }: DeliveredResource): string => contentVersion(bytes ?? Buffer.of());

/** Everything of a tree with one TLS Listener but its Secret. */
function serveAllButSecret({ settle }: Harness, stream: FakeStream): void {
  stream.connect();
  stream.respond('Sidecar', [sidecar('1', 'l/1')], { removed: ['me'] });
  settle();
  stream.respond('Listener', [tlsListener('l/1', '1', 'x/cert', 'x/a')]);
  settle();
  stream.respond('Upstream', [upstream('x/a', '1')]);
  stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1')]);
  settle();
}

function serve(h: Harness, stream: FakeStream): DeliveredResource {
  serveAllButSecret(h, stream);
  const first = secret('x/cert', '1', one);
  stream.respond('Secret', [first]);
  h.settle();
  return first;
}

describe('Secrets over a stream that is safe', () => {
  it('are asked for last and waited for by the first configuration', () => {
    for (const options of [{ credentials: () => TLS }, { servers: [LOOPBACK] }]) {
      const h = start(options);
      const stream = h.ads.last();
      serveAllButSecret(h, stream);
      assert.deepEqual(stream.names('Secret'), ['x/cert']);
      assert.equal(h.updates.length, 0);
      const first = secret('x/cert', '1', one);
      const nonce = stream.respond('Secret', [first]);
      h.settle();
      assert.deepEqual(stream.answers(nonce), ['']);
      assert.equal(h.updates.length, 1);
      assert.deepEqual(h.updates[0]?.seen, ['l/1', 'x/a:1', 'x/a/80:10.1.0.1', `x/cert:${shown(first)}`]);
      assert.equal(h.view('Secret', 'x/cert')?.state, 'acked');
      assert.equal(h.view('Secret', 'x/cert')?.bytes, undefined);
    }
  });

  it('are asked for where the server is silent about something else', () => {
    const h = start({ credentials: () => TLS });
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [sidecar('1', 'l/1')]);
    h.settle();
    stream.respond('Listener', [tlsListener('l/1', '1', 'x/cert', 'x/a')]);
    h.settle();
    stream.respond('Upstream', [upstream('x/a', '1')]);
    h.settle();
    assert.deepEqual(stream.names('Secret'), []);
    h.clock.advance(1_000);
    assert.deepEqual(stream.names('Secret'), ['x/cert']);
    stream.respond('Secret', [secret('x/cert', '1', one)]);
    stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1')]);
    h.settle();
    assert.equal(h.updates.length, 1);
  });

  it('that never come hold a Listener back no longer than 15 s', () => {
    const h = start({ credentials: () => TLS });
    const stream = h.ads.last();
    serveAllButSecret(h, stream);
    h.clock.advance(14_500);
    assert.equal(h.updates.length, 0);
    h.clock.advance(1_000);
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:1', 'x/a/80:10.1.0.1', 'x/cert:-']);
    assert.equal(h.state('Secret', 'x/cert'), 'DOES_NOT_EXIST');
    const late = secret('x/cert', '1', one);
    stream.respond('Secret', [late]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen.at(-1), `x/cert:${shown(late)}`);
  });

  it('that the server says do not exist hold nothing back', () => {
    const h = start({ credentials: () => TLS });
    serveAllButSecret(h, h.ads.last());
    h.ads.last().respond('Secret', [], { removed: ['x/cert'] });
    h.settle();
    assert.equal(h.updates.at(-1)?.seen.at(-1), 'x/cert:-');
  });

  it('keep no Listener waiting that does without, once the server falls silent', () => {
    const h = start({ credentials: () => TLS });
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [sidecar('1', 'l/1', 'l/2')], { removed: ['me'] });
    h.settle();
    stream.respond('Listener', [tlsListener('l/1', '1', 'x/cert', 'x/a'), listener('l/2', '1', 'x/a')]);
    h.settle();
    stream.respond('Upstream', [upstream('x/a', '1')]);
    stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1')]);
    h.settle();
    h.clock.advance(1_900);
    assert.equal(h.updates.length, 0);
    h.clock.advance(100);
    assert.deepEqual(h.updates.at(0)?.seen, ['l/2', 'x/a:1', 'x/a/80:10.1.0.1']);
    h.clock.advance(13_100);
    assert.deepEqual(h.updates.at(-1)?.seen.slice(0, 2), ['l/1', 'l/2']);
  });

  it('reach onUpdate when they are changed, without a walk of the tree', () => {
    const h = start({ credentials: () => TLS });
    const stream = h.ads.last();
    serve(h, stream);
    const rotated = secret('x/cert', '2', two);
    stream.respond('Secret', [rotated]);
    h.settle();
    assert.equal(h.updates.length, 2);
    assert.deepEqual(h.updates[1]?.kinds, ['Secret']);
    assert.equal(h.updates[1]?.seen.at(-1), `x/cert:${shown(rotated)}`);
  });

  it('stay in force when a bad one comes, when they are removed, and when the stream ends', () => {
    const h = start({ credentials: () => TLS });
    const stream = h.ads.last();
    const first = serve(h, stream);
    const mixed = delivered('Secret', 'x/cert', '2', {
      certificate: Buffer.from(one.chain),
      privateKey: Buffer.from(two.keyPem),
    });
    const nonce = stream.respond('Secret', [mixed]);
    h.settle();
    const [error] = stream.answers(nonce);
    assert.match(error ?? '', /^Secret x\/cert: ./);
    for (const line of two.keyPem.split('\n').slice(1, 3)) assert.ok(!error?.includes(line));
    assert.equal(h.state('Secret', 'x/cert'), 'NACKED');
    stream.respond('Secret', [], { removed: ['x/cert'] });
    h.settle();
    assert.equal(h.state('Secret', 'x/cert'), 'REMOVED');
    stream.end();
    h.clock.advance(300);
    h.ads.last(2).connect();
    h.clock.advance(60_000);
    assert.equal(h.updates.length, 1);
    assert.equal(h.updates[0]?.seen.at(-1), `x/cert:${shown(first)}`);
  });

  it('that a changed Listener names are waited for, while the old Listener serves', () => {
    const h = start({ credentials: () => TLS });
    const stream = h.ads.last();
    const first = serve(h, stream);
    stream.respond('Listener', [tlsListener('l/1', '2', 'x/other', 'x/a')]);
    h.settle();
    stream.respond('Endpoints', [endpoints('x/a/80', '2', '10.1.0.2')]);
    h.settle();
    assert.deepEqual(stream.names('Secret'), ['x/cert', 'x/other']);
    assert.deepEqual(h.updates.at(-1)?.seen.slice(-2), ['x/a/80:10.1.0.2', `x/cert:${shown(first)}`]);
    const other = secret('x/other', '1', two);
    stream.respond('Secret', [other]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen.at(-1), `x/other:${shown(other)}`);
    assert.deepEqual(stream.names('Secret'), ['x/other']);
  });

  it('that a changed Upstream names are waited for, while the old Upstream serves; then it fails closed by itself', () => {
    const h = start({ credentials: () => TLS });
    const stream = h.ads.last();
    serve(h, stream);
    stream.respond('Upstream', [tlsUpstream('x/a', '2', 'x/client')]);
    h.settle();
    assert.equal(h.updates.length, 1);
    h.clock.advance(15_100);
    assert.equal(h.updates.at(-1)?.seen[1], 'x/a:2');
    assert.equal(h.updates.at(-1)?.seen.at(-1), 'x/client:-');
    stream.respond('Upstream', [tlsUpstream('x/a', '3', 'x/client')]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen[1], 'x/a:3');
  });

  it('are held back for a type that the server does not know only until it is parked', () => {
    const h = start({ credentials: () => TLS });
    for (let i = 1; i <= 3; i++) {
      if (i === 1) serveAllButSecret(h, h.ads.last());
      else {
        h.ads.last(i).connect();
        h.settle();
      }
      assert.deepEqual(h.ads.last(i).names('Secret'), ['x/cert']);
      h.ads.last(i).end('UNKNOWN: no cache for this type');
      h.clock.advance(1_000);
    }
    assert.equal(h.ads.last(4).connect().names('Secret').length, 0);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:1', 'x/a/80:10.1.0.1', 'x/cert:-']);
    assert.match(h.view('Secret', 'x/cert')?.error ?? '', /ends the stream when asked for this type/);
    // The server goes away, and comes back as one that knows the type.
    h.ads.last(4).end('UNAVAILABLE: gone');
    for (let i = 0; i < 100 && h.ads.streams.length === 4; i++) h.clock.advance(500);
    const newer = h.ads.last(5).connect();
    h.settle();
    assert.deepEqual(newer.names('Secret'), ['x/cert']);
    const cert = secret('x/cert', '1', one);
    newer.respond('Secret', [cert]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen.at(-1), `x/cert:${shown(cert)}`);
  });

  it('are not given up because a control plane is away for long, or restarts often', () => {
    const h = start({ credentials: () => TLS });
    serve(h, h.ads.last());
    h.ads.last().end();
    let streams = 1;
    const nextStream = (): FakeStream => {
      for (let i = 0; h.ads.streams.length === streams; i++) {
        assert.ok(i < 100, 'no further try');
        h.clock.advance(500);
      }
      return h.ads.last(++streams);
    };
    for (let i = 0; i < 12; i++) {
      const stream = nextStream();
      if (i % 2 === 0) stream.connect();
      h.clock.advance(10);
      stream.end(i % 3 === 0 ? 'UNAVAILABLE: read ECONNRESET' : 'UNAVAILABLE: connect ECONNREFUSED');
    }
    const rotated = secret('x/cert', '2', two);
    const back = nextStream().connect();
    assert.deepEqual(back.names('Secret'), ['x/cert']);
    back.respond('Secret', [rotated]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen.at(-1), `x/cert:${shown(rotated)}`);
  });
});

describe('Secrets over plaintext that leaves the machine', () => {
  const REASON =
    'a Secret is not asked for over plaintext to 10.0.0.1:15010: use --control-ca (and --control-cert), or a control plane on loopback';

  it('are not asked for, are shown as refused, and hold nothing back', () => {
    const h = start();
    const stream = h.ads.last();
    serveAllButSecret(h, stream);
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:1', 'x/a/80:10.1.0.1', 'x/cert:-']);
    assert.deepEqual(stream.take('Secret'), []);
    const view = h.view('Secret', 'x/cert');
    assert.deepEqual([view?.state, view?.error, view?.receivedWallMs], ['nacked', REASON, undefined]);
    // One that comes nevertheless: an answer would ask for all of the type.
    const nonce = stream.respond('Secret', [secret('x/cert', '1', one)]);
    h.clock.advance(20_000);
    assert.deepEqual(stream.answers(nonce), []);
    assert.equal(h.updates.length, 1);
    assert.equal(h.state('Secret', 'x/cert'), 'NACKED');
  });

  it('are not asked for by state of the world either', () => {
    const h = start({ flavour: 'sotw' });
    const stream = h.ads.last();
    serveAllButSecret(h, stream);
    assert.deepEqual(stream.take('Secret'), []);
    assert.equal(h.view('Secret', 'x/cert')?.error, REASON);
  });

  it('are asked for as soon as a stream is safe, and waited for again', () => {
    let tls: ControlCredentials | undefined;
    const h = start({ credentials: () => tls });
    serveAllButSecret(h, h.ads.last());
    tls = TLS;
    h.ads.last().end();
    h.clock.advance(300);
    const stream = h.ads.last(2).connect();
    h.settle();
    assert.deepEqual(stream.names('Secret'), ['x/cert']);
    assert.deepEqual([h.state('Secret', 'x/cert'), h.view('Secret', 'x/cert')?.error], ['REQUESTED', '']);
    const first = secret('x/cert', '1', one);
    stream.respond('Secret', [first]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen.at(-1), `x/cert:${shown(first)}`);
  });

  it('stay in force where the sidecar moves on to such a server', () => {
    const h = start({ servers: [LOOPBACK, TWO] });
    const first = serve(h, h.ads.last());
    h.ads.last().end();
    h.clock.advance(300);
    h.ads.last(2).end();
    h.clock.advance(60);
    const other = h.ads.last(3);
    assert.equal(other.address, '10.0.0.2:15010');
    serveAllButSecret(h, other);
    other.respond('Endpoints', [endpoints('x/a/80', '3', '10.9.0.1')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen.slice(-2), ['x/a/80:10.9.0.1', `x/cert:${shown(first)}`]);
    assert.deepEqual(other.take('Secret'), []);
    assert.match(h.view('Secret', 'x/cert')?.error ?? '', /plaintext to 10\.0\.0\.2:15010/);
  });

  it('within another resource refuse that one, and its siblings are used', () => {
    const h = start();
    const stream = h.ads.last();
    serveAllButSecret(h, stream);
    const nonce = stream.respond('Upstream', [keyedUpstream('x/a', '2', one)]);
    h.settle();
    assert.deepEqual(stream.answers(nonce), [
      'Upstream x/a: a private key is not taken over plaintext from 10.0.0.1:15010: use --control-ca (and --control-cert), or a control plane on loopback',
    ]);
    assert.equal(h.updates.length, 1);
    assert.equal(h.state('Upstream', 'x/a'), 'NACKED');
    // What is wrong for another reason is told that.
    const torn = stream.respond('Upstream', [{ ...upstream('x/a', '3'), bytes: Buffer.from('ffff', 'hex') }]);
    h.settle();
    assert.doesNotMatch(stream.answers(torn)[0] ?? 'key', /key/);
  });

  it('within another resource are taken over loopback', () => {
    const h = start({ servers: [LOOPBACK] });
    const stream = h.ads.last();
    serve(h, stream);
    stream.respond('Upstream', [keyedUpstream('x/a', '2', one)]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen[1], 'x/a:2');
  });
});

describe('credentials towards the control plane', () => {
  it('are asked for at each opening of a stream', () => {
    const given: (ControlCredentials | undefined)[] = [];
    let now: ControlCredentials = { ...TLS, ca: Buffer.from('one') };
    const h = start();
    const openStream: OpenAdsStream = (server, events, credentials) => {
      given.push(credentials);
      return h.ads.open(server, events, credentials);
    };
    const mine = start({ openStream, credentials: () => now });
    now = { ...TLS, ca: Buffer.from('two') };
    h.ads.streams.at(-1)?.end();
    mine.clock.advance(1_000);
    assert.deepEqual(
      given.map((credentials) => credentials?.ca?.toString()),
      ['one', 'two'],
    );
  });

  it('that cannot be used fail the try with their reason, and are tried again at the usual pace', () => {
    const reason = '/tmp/ca.pem: no such file';
    let answers = 0;
    let now: ControlCredentials | string = reason;
    const h = start({
      credentials: () => {
        answers++;
        return now;
      },
    });
    h.settle();
    assert.deepEqual([h.client.status().state, h.client.status().lastError], ['waiting', reason]);
    assert.equal(h.ads.streams.length, 0);
    h.clock.advance(120_000);
    assert.ok(answers >= 5 && answers <= 15, `${answers} tries`);
    now = TLS;
    while (h.ads.streams.length === 0) h.clock.advance(1_000);
    serve(h, h.ads.last());
    assert.equal(h.client.status().state, 'connected');
    assert.equal(h.updates.length, 1);
  });

  it('on which the opener throws are the same', () => {
    const h = start({
      servers: [ONE, TWO],
      credentials: () => TLS,
      openStream: () => {
        throw new Error('PEM routines::no start line');
      },
    });
    h.clock.advance(200);
    const { lastError, address } = h.client.status();
    assert.equal(lastError, 'PEM routines::no start line: check --control-ca, --control-cert and --control-key');
    assert.ok(['10.0.0.1:15010', '10.0.0.2:15010'].includes(address));
  });
});

describe('private keys at rest and on show', () => {
  it('are in no file of the state directory; after a restart the control plane is asked for the resource anew', async () => {
    for (const flavour of ['delta', 'sotw'] as const) {
      const stateDir = join(root, flavour);
      const options = { stateDir, flavour, servers: [LOOPBACK] };
      const first = start(options);
      serve(first, first.ads.last());
      const keyed = keyedUpstream('x/a', '2', two);
      first.ads.last().respond('Upstream', [keyed], { version: 'u2' });
      first.settle();
      assert.equal(first.updates.at(-1)?.seen[1], 'x/a:2');
      await first.client.stop();
      assertNoKeys(stateDir);

      const h = start(options);
      assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:2', 'x/a/80:10.1.0.1', 'x/cert:-']);
      const view = h.view('Upstream', 'x/a');
      const message = Upstream.decode(view?.bytes ?? Buffer.of());
      assert.equal(message.tls?.clientKey, '[redacted]');
      assert.equal(message.tls.clientCert, two.chain);
      const stream = h.ads.last();
      const [request] = stream.requests.filter(({ kind }) => kind === 'Upstream');
      if (request?.flavour === 'delta') {
        assert.deepEqual([...request.initialVersions], []);
        const [own] = stream.requests.filter(({ kind }) => kind === 'Listener');
        assert.ok(own?.flavour === 'delta');
        assert.deepEqual([...own.initialVersions], [['l/1', '1']]);
      } else assert.equal(request?.version, '');
      stream.connect().respond('Upstream', [keyed], { version: 'u2' });
      stream.respond('Secret', [secret('x/cert', '1', one)]);
      h.settle();
      const entry = [...h.client.entries()].find(({ name }) => name === 'x/a');
      const inForce = entry?.resource?.message as Upstream;
      assert.equal(inForce.tls?.clientKey, two.keyPem);
      assert.equal(h.updates.at(-1)?.source, 'control');
      await h.client.stop();
      assertNoKeys(stateDir);
    }
  });

  it('are shown to nobody', () => {
    const lines: string[] = [];
    const logger: Logger = {
      level: 'trace',
      isOn: () => true,
      log: (_level, fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    };
    const h = start({ servers: [LOOPBACK], logger });
    const stream = h.ads.last();
    serve(h, stream);
    stream.respond('Upstream', [keyedUpstream('x/a', '2', two)]);
    // Of which something is wrong, in every way that one can be.
    stream.respond('Upstream', [{ ...keyedUpstream('x/a', '3', two), bytes: Buffer.from(two.keyPem) }]);
    stream.respond('Secret', [{ ...secret('x/cert', '3', one), bytes: Buffer.from(two.keyPem) }]);
    stream.respond('Secret', [delivered('Secret', 'x/cert', '4', { privateKey: Buffer.from(two.keyPem) })]);
    h.settle();
    const views = [...h.client.resourceViews()].map(({ bytes, ...rest }) => [
      JSON.stringify(rest),
      Buffer.from(bytes ?? []).toString('latin1'),
    ]);
    const requests = stream.requests.map((request) => JSON.stringify(request));
    assertNoKey([...lines, ...views.flat(), ...requests, JSON.stringify(h.client.status())].join('\n'));
    assert.ok(views.flat().some((text) => text.includes('[redacted]')));
  });
});

function assertNoKey(text: string): void {
  for (const { keyPem } of [one, two]) {
    const body = keyPem.split('\n').slice(1, -2);
    assert.ok(body.length > 1 && body.every((line) => line.length > 20));
    for (const line of body) assert.ok(!text.includes(line), 'a private key');
  }
}

function assertNoKeys(dir: string): void {
  const names = readdirSync(dir);
  assert.deepEqual(names, ['state.json']);
  for (const name of names) {
    const text = readFileSync(join(dir, name), 'latin1');
    assertNoKey(text);
    // The bytes of resources are base64 there.
    const { body } = JSON.parse(text) as { body: { resources: { kind: string; bytes: string }[] } };
    assert.ok(body.resources.length > 0 && body.resources.every(({ kind }) => kind !== 'Secret'));
    assertNoKey(body.resources.map(({ bytes }) => Buffer.from(bytes, 'base64').toString('latin1')).join('\n'));
  }
}
