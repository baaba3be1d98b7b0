// The accepting side with a real store of credentials. Who resumes what is shown over real connections in
// test/integration/proxy/tls-downstream.test.ts.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { before, describe, it } from 'node:test';
import type { Logger } from '../../../src/base/log.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { SecretText } from '../../../src/base/secret-text.ts';
import { createCredentials } from '../../../src/identity/live-credentials.ts';
import { ServerTls } from '../../../src/identity/server-tls.ts';
import type { ListenerTlsSpec, SecretSpec } from '../../../src/model/tls.ts';
import type { TlsFacts } from '../../../src/net/transport.ts';
import {
  issueAuthority,
  issueCertificate,
  selfSigned,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { authoritiesSource, certificateMaterial, listenerTls, secrets } from '../../support/tls-peer.ts';

const HOUR_MS = 3_600_000;
const WEB = { kind: 'secret', name: 'shop/web' } as const;
const CALLERS = { kind: 'secret', name: 'shop/callers' } as const;

let authority: TestAuthority;
let stranger: TestAuthority;
let web: TestCertificate;
/** The fake clock's time; certificates are made for it. */
const NOW_MS = new FakeClock().wallMs();
const VALIDITY = { notBeforeMs: NOW_MS - HOUR_MS, notAfterMs: NOW_MS + 24 * HOUR_MS };

before(async () => {
  [authority, stranger] = await Promise.all([issueAuthority(VALIDITY), issueAuthority(VALIDITY)]);
  web = await issueCertificate(authority, { ...VALIDITY, dns: ['web.example'] });
});

interface Fixture {
  readonly tls: ServerTls;
  readonly clock: FakeClock;
  readonly logged: string[];
  setSecrets(secrets: ReadonlyMap<string, SecretSpec>): void;
}

function start(overrides: Partial<ListenerTlsSpec> = {}): Fixture {
  const clock = new FakeClock();
  const logged: string[] = [];
  const logger: Logger = { ...silentLogger, log: (level, _fields, message) => logged.push(`${level} ${message}`) };
  const credentials = createCredentials({ clock, logger: silentLogger });
  const spec = { ...listenerTls([]), certificates: [WEB], ...overrides };
  const tls = new ServerTls(spec, { credentials, clock, logger, usedBy: 'Listener outbound/80', alpn: ['h2'] });
  return {
    tls,
    clock,
    logged,
    setSecrets(next) {
      credentials.setSecrets(next);
      clock.advance(0);
    },
  };
}

/** A handshake in which the caller showed this. */
function shown(certificate: TestCertificate | undefined): TlsFacts {
  const x509 = certificate && new X509Certificate(certificate.certificatePem);
  return { alpn: 'h2', version: 'TLSv1.3', resumed: false, certificate: x509 };
}

describe('contexts', () => {
  it('come with the certificate; without it the reason is told', () => {
    const { tls, setSecrets } = start();
    assert.equal(tls.context, undefined);
    assert.match(tls.error, /shop\/web/);
    setSecrets(secrets({ name: WEB.name, authorities: [authority] }));
    assert.equal(tls.context, undefined);
    assert.match(tls.error, /holds no certificate/);
    setSecrets(secrets({ name: WEB.name, certificate: web }));
    assert.ok(tls.context);
    assert.equal(tls.error, '');
    assert.deepEqual(tls.alpn, ['h2']);
  });

  it('wait for the authorities of callers too', () => {
    const { tls, setSecrets } = start({ clientCertificate: 'required', clientCa: CALLERS });
    setSecrets(secrets({ name: WEB.name, certificate: web }));
    assert.equal(tls.context, undefined, 'else everybody would pass, or nobody');
    assert.match(tls.error, /shop\/callers/);
    setSecrets(secrets({ name: WEB.name, certificate: web }, { name: CALLERS.name, authorities: [authority] }));
    assert.ok(tls.context);
    assert.equal(tls.error, '');
  });

  it('are made anew when something changes, and stay when it goes', async () => {
    const other = await issueCertificate(authority, VALIDITY);
    const { tls, setSecrets } = start();
    const certificate = secrets({ name: WEB.name, certificate: web });
    setSecrets(certificate);
    const { context: first } = tls;
    setSecrets(new Map(certificate));
    assert.equal(tls.context, first, 'nothing changed');
    setSecrets(secrets({ name: WEB.name, certificate: other }));
    const { context: second } = tls;
    assert.notEqual(second, first);
    setSecrets(new Map());
    assert.ok(tls.context);
    assert.equal(tls.error, '', 'it serves');
  });

  it('of several are made of those that are there, and only what changed is made anew', async () => {
    const issue = (name: string): Promise<TestCertificate> => issueCertificate(authority, { ...VALIDITY, dns: [name] });
    const [first, second, renewed] = await Promise.all([issue('a.example'), issue('b.example'), issue('b.example')]);
    const sources = ['shop/a', 'shop/b'].map((name) => ({ kind: 'secret', name }) as const);
    const { tls, setSecrets } = start({ certificates: sources });
    assert.match(tls.error, /shop\/a/);
    const b = { name: 'shop/b', certificate: second };
    setSecrets(secrets(b));
    const { context: onlyB } = tls;
    assert.ok(onlyB, 'callers of b.example are served');
    assert.match(tls.error, /shop\/a/);
    const a = { name: 'shop/a', certificate: first };
    setSecrets(secrets(a, b));
    assert.equal(tls.error, '');
    assert.notEqual(tls.context, onlyB);
    assert.equal(tls.contextFor?.('b.example'), onlyB);
    const { context: onlyA } = tls;
    setSecrets(secrets(a, { name: 'shop/b', certificate: renewed }));
    assert.equal(tls.context, onlyA);
    assert.notEqual(tls.contextFor?.('b.example'), onlyB);
  });

  it('of the spec before stay until the certificate comes, as long as the same callers may pass', () => {
    const clock = new FakeClock();
    const credentials = createCredentials({ clock, logger: silentLogger });
    const make = (overrides: Partial<ListenerTlsSpec>): ServerTls =>
      new ServerTls(
        { ...listenerTls([]), certificates: [WEB], ...overrides },
        { credentials, clock, logger: silentLogger, usedBy: 'Listener outbound/80', alpn: ['h2'] },
      );
    const required = { clientCertificate: 'required', clientCa: CALLERS } as const;
    const callers = { name: CALLERS.name, authorities: [authority] };
    const here = { name: WEB.name, certificate: web };
    credentials.setSecrets(secrets(here, callers));
    const before = make(required);
    const misspelt = { ...required, certificates: [{ kind: 'secret', name: 'shop/wbe' } as const] };
    const next = make(misspelt);
    assert.equal(next.context, undefined);
    next.takeOver(before);
    before.stop();
    assert.equal(next.context, before.context);
    assert.match(next.error, /shop\/wbe/, 'and it is told');
    const other = make({ ...misspelt, clientNames: [{ type: 'dns', value: 'a.example' }] });
    other.takeOver(next);
    assert.equal(other.context, undefined, 'nobody passes by rules that no longer stand');
    credentials.setSecrets(secrets(here, { name: CALLERS.name, authorities: [stranger] }));
    clock.advance(0);
    assert.equal(next.context, undefined, 'nor by authorities that no longer stand');
    credentials.setSecrets(secrets({ name: 'shop/wbe', certificate: web }, callers));
    clock.advance(0);
    assert.ok(next.context);
    assert.equal(next.error, '');
  });

  it('with system authorities need no more than the certificate', () => {
    const { tls, setSecrets } = start({ clientCertificate: 'optional', clientCa: { kind: 'system' } });
    setSecrets(secrets({ name: WEB.name, certificate: web }));
    assert.ok(tls.context);
  });

  it('that can not be made leave the old ones', () => {
    const { tls, logged, setSecrets } = start();
    setSecrets(secrets({ name: WEB.name, certificate: web }));
    const { context } = tls;
    // The decoder refuses such a pair, so the store never gets it from a resource.
    const broken = { ...certificateMaterial(web), key: new SecretText('no key') };
    setSecrets(new Map([[WEB.name, { name: WEB.name, certificate: broken, authorities: undefined }]]));
    assert.equal(tls.context, context);
    assert.equal(tls.error, '');
    assert.match(logged.join('\n'), /^error a TLS context can't be made: /);
    assert.doesNotMatch(logged.join('\n'), /no key$/m);
  });

  it('by name only where there are several', async () => {
    const names = [['a.example', '*.b.example'], ['A.B.example'], ['*.example', '*']];
    const certificates = await Promise.all(names.map((dns) => issueCertificate(authority, { ...VALIDITY, dns })));
    const one = start(listenerTls([web]));
    assert.equal(one.tls.contextFor, undefined);
    const { tls } = start(listenerTls([web, ...certificates]));
    const { contextFor } = tls;
    assert.ok(contextFor);
    const served = [tls.context, contextFor('a.example'), contextFor('a.b.example'), contextFor('x.example')];
    assert.equal(new Set(served).size, 4);
    const numberOf = (name: string): number => served.indexOf(contextFor(name));
    assert.equal(numberOf('A.EXAMPLE'), 1);
    assert.equal(numberOf('c.b.example'), 1);
    assert.equal(numberOf('a.b.example'), 2, 'exact before wildcard, whatever the order');
    assert.equal(numberOf('web.example'), 0);
    assert.equal(numberOf('c.a.b.example'), 0);
    for (const odd of ['', '.', '.example', 'example', '*', 'x.', '\0', 'é', 'x'.repeat(70_000)]) {
      assert.equal(numberOf(odd), odd === '*' ? 3 : 0, JSON.stringify(odd.slice(0, 20)));
    }
  });

  it('get a new ticket key every hour, until the end', () => {
    const { tls, clock } = start(listenerTls([web]));
    const { context: first } = tls;
    clock.advance(HOUR_MS - 1);
    assert.equal(tls.context, first);
    clock.advance(1);
    const { context: second } = tls;
    assert.notEqual(second, first);
    clock.advance(HOUR_MS);
    assert.notEqual(tls.context, second);
    tls.stop();
    const { context: last } = tls;
    clock.advance(5 * HOUR_MS);
    assert.equal(tls.context, last, 'connections that are accepted while it ends have it');
    assert.equal(clock.waiting, 0);
  });
});

describe('callers', () => {
  const asking = (
    clientCertificate: ListenerTlsSpec['clientCertificate'],
    clientNames: ListenerTlsSpec['clientNames'] = [],
  ): Fixture =>
    start({ ...listenerTls([web]), clientCertificate, clientCa: authoritiesSource(authority), clientNames });

  it('are asked as the mode says', () => {
    for (const [mode, requests, requires] of [
      ['none', false, false],
      ['optional', true, false],
      ['required', true, true],
    ] as const) {
      const { tls } = asking(mode);
      assert.deepEqual([tls.requestsCertificate, tls.requiresCertificate], [requests, requires], mode);
    }
  });

  it('pass with a good certificate, or without one that is not required', async () => {
    const good = shown(await issueCertificate(authority, VALIDITY));
    assert.equal(asking('none').tls.refusal(shown(undefined), 'UNSPECIFIED'), undefined);
    assert.equal(asking('optional').tls.refusal(shown(undefined), 'UNSPECIFIED'), undefined);
    assert.equal(asking('optional').tls.refusal(good, undefined), undefined);
    assert.equal(asking('required').tls.refusal(good, undefined), undefined);
    const refusal = asking('required').tls.refusal(shown(undefined), undefined);
    assert.equal(refusal?.kind, 'client_certificate_refused');
    assert.match(refusal.detail, /it shows no certificate, and this listener requires one/);
  });

  it('do not pass with a bad one, required or not', async () => {
    const own = shown(await selfSigned({ ...VALIDITY, commonName: 'mallory' }));
    for (const mode of ['optional', 'required'] as const) {
      const refusal = asking(mode).tls.refusal(own, 'DEPTH_ZERO_SELF_SIGNED_CERT');
      assert.equal(refusal?.kind, 'client_certificate_refused');
      assert.match(refusal.detail, /it is self-signed: .* \(CN=mallory\)$/);
      assert.match(asking(mode).tls.refusal(own, 'UNKNOWN')?.detail ?? '', /OpenSSL says UNKNOWN/);
      const nameless = shown(await selfSigned({ ...VALIDITY, commonName: '' }));
      const { detail } = asking(mode).tls.refusal(nameless, 'DEPTH_ZERO_SELF_SIGNED_CERT') ?? {};
      assert.match(detail ?? '', /it is self-signed: .* \(it has no subject\)$/);
    }
  });

  it('do not pass any more once their certificate has expired, though their session was good', async () => {
    const { tls, clock } = asking('required');
    const soon = shown(await issueCertificate(authority, { ...VALIDITY, notAfterMs: NOW_MS + 60_000 }));
    assert.equal(tls.refusal(soon, undefined), undefined);
    clock.advance(59_000);
    assert.equal(tls.refusal(soon, undefined), undefined);
    clock.advance(3_000);
    assert.match(tls.refusal(soon, undefined)?.detail ?? '', /it has expired: renew it/);
  });

  it('need one of the names, where there are any', async () => {
    const { tls } = asking('optional', [
      { type: 'uri', value: 'spiffe://mesh/cart' },
      { type: 'dns', value: 'cart.shop' },
    ]);
    const told = async (dns: string[], uris: string[] = []): Promise<string | undefined> =>
      tls.refusal(shown(await issueCertificate(authority, { ...VALIDITY, dns, uris })), undefined)?.detail;
    assert.equal(await told(['cart.shop']), undefined);
    assert.equal(await told([], ['spiffe://mesh/cart']), undefined);
    assert.match((await told(['spiffe://mesh/cart'])) ?? '', /\(it has "spiffe:\/\/mesh\/cart"\)$/);
    assert.match((await told([])) ?? '', /\(it has none\)$/);
    const many = Array.from({ length: 50 }, (_, i) => `host${i}`);
    assert.match((await told(many)) ?? '', /"host4"\)$/, 'the first few');
    const stranger5 = shown(await issueCertificate(stranger, { ...VALIDITY, dns: ['cart.shop'] }));
    assert.match(tls.refusal(stranger5, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')?.detail ?? '', /issuer is not among/);
    assert.equal(tls.refusal(shown(undefined), undefined), undefined, 'optional: none at all passes');
  });
});
