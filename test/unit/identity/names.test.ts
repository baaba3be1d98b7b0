import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalIp } from '../../../src/base/ip-address.ts';
import { allowedNameProblem, hasAllowedName, readSubjectAltNames } from '../../../src/identity/names.ts';
import type { AllowedName, SubjectAltNames } from '../../../src/model/tls.ts';
import { selfSigned } from '../../support/certificates.ts';

/** An element of DER. */
function der(tag: number, ...contents: (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(contents.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const dns = (value: string): Buffer => der(0x82, value);
const uri = (value: string): Buffer => der(0x86, value);
const ip = (...bytes: number[]): Buffer => der(0x87, Uint8Array.from(bytes));
const names = (...list: Buffer[]): Buffer => der(0x30, ...list);
const sanExtension = (value: Uint8Array): Buffer => der(0x30, der(0x06, '\x55\x1d\x11'), der(0x04, value));

/** The outline of a certificate with these extensions; readSubjectAltNames looks at no more of it. */
function certificate(...extensions: Buffer[]): Buffer {
  const tbs = der(
    0x30,
    der(0xa0, der(0x02, '\x02')),
    der(0x02, '\x01'),
    ...[der(0x30), der(0x30), der(0x30), der(0x30), der(0x30)],
    ...(extensions.length > 0 ? [der(0xa3, der(0x30, ...extensions))] : []),
  );
  return der(0x30, tbs, der(0x30), der(0x03, '\0'));
}

const withNames = (...list: Buffer[]): Buffer => certificate(sanExtension(names(...list)));

/** What a certificate that a library made is read as. */
async function issued(rawSubjectAltName: Uint8Array): Promise<SubjectAltNames> {
  const { certificatePem } = await selfSigned({ rawSubjectAltName });
  return readSubjectAltNames(new X509Certificate(certificatePem).raw);
}

const NONE: SubjectAltNames = { dns: [], uris: [], ips: [] };
const allowDns = (value: string): AllowedName[] => [{ type: 'dns', value }];
const allowUri = (value: string): AllowedName[] => [{ type: 'uri', value }];

test('each name is its bytes, in certificates as they are issued', async () => {
  const list = names(
    dns('good.example\0.evil'),
    dns('Good.Example'),
    dns('*.example'),
    dns('127.0.0.1'),
    dns('a\xff'),
    dns(''),
    uri('spiffe://a/b\0evil'),
    uri('spiffe://a/b, URI:spiffe://a/c, DNS:good.example'),
    ip(127, 0, 0, 1),
    ip(0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 0xab),
    ip(1, 2, 3),
    ip(10, 0, 0, 1, 255, 255, 255, 0),
    der(0x81, 'me@good.example'),
    der(0xa0, der(0x06, '\x2a\x03'), der(0xa0, der(0x0c, 'other'))),
    der(0xa4, der(0x30)),
    der(0x88, '\x2a\x03'),
  );
  const expected = {
    dns: ['good.example\0.evil', 'Good.Example', '*.example', '127.0.0.1', 'a\xff', ''],
    uris: ['spiffe://a/b\0evil', 'spiffe://a/b, URI:spiffe://a/c, DNS:good.example'],
    ips: ['127.0.0.1', '2001:db8::ab'],
  };
  assert.deepEqual(await issued(list), expected);
  assert.deepEqual(readSubjectAltNames(certificate(sanExtension(list))), expected);
});

test('names given as lists come back', async () => {
  const given = {
    dns: ['web.default.svc'],
    uris: ['spiffe://example.org/ns/default/sa/web'],
    ips: ['10.0.0.1', '::1'],
  };
  const { certificatePem } = await selfSigned(given);
  assert.deepEqual(readSubjectAltNames(new X509Certificate(certificatePem).raw), given);
});

test('100 names', async () => {
  const list = Array.from({ length: 100 }, (_, i) => dns(`host-${i}.example`));
  const read = await issued(names(...list));
  assert.equal(read.dns.length, 100);
  assert.ok(hasAllowedName(read, allowDns('host-99.example')));
  assert.ok(!hasAllowedName(read, allowDns('host-100.example')));
});

test('a certificate without names has none, whatever its subject says', async () => {
  const { certificatePem } = await selfSigned({ commonName: 'good.example' });
  assert.deepEqual(readSubjectAltNames(new X509Certificate(certificatePem).raw), NONE);
  assert.deepEqual(await issued(names()), NONE);
  assert.deepEqual(readSubjectAltNames(certificate()), NONE);
  assert.deepEqual(readSubjectAltNames(certificate(der(0x30, der(0x06, '\x55\x1d\x0f'), der(0x04, '\x03\x02')))), NONE);
});

test('only what is equal passes', () => {
  const table: [certificate: Buffer[], allowed: AllowedName[], passes: boolean][] = [
    [[dns('good.example')], allowDns('good.example'), true],
    [[dns('bad.example'), dns('good.example')], [...allowDns('x'), ...allowDns('good.example')], true],
    [[dns('good.example')], [], false],
    [[], allowDns('good.example'), false],
    // NUL
    [[dns('good.example\0.evil')], allowDns('good.example'), false],
    [[dns('good.example\0')], allowDns('good.example'), false],
    [[uri('spiffe://a/b\0evil')], allowUri('spiffe://a/b'), false],
    // case, dots, space
    [[dns('GOOD.example')], allowDns('good.example'), false],
    [[dns('good.example')], allowDns('Good.example'), false],
    [[dns('good.example.')], allowDns('good.example'), false],
    [[dns(' good.example')], allowDns('good.example'), false],
    [[uri('SPIFFE://a/b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://A/b')], allowUri('spiffe://a/b'), false],
    // wildcards
    [[dns('*.example')], allowDns('good.example'), false],
    [[dns('*')], allowDns('good.example'), false],
    [[uri('spiffe://a/*')], allowUri('spiffe://a/b'), false],
    // types
    [[dns('127.0.0.1')], allowDns('127.0.0.1'), true],
    [[ip(127, 0, 0, 1)], allowDns('127.0.0.1'), false],
    [[ip(127, 0, 0, 1)], allowUri('127.0.0.1'), false],
    [[dns('spiffe://a/b')], allowUri('spiffe://a/b'), false],
    [[uri('good.example')], allowDns('good.example'), false],
    [[der(0x81, 'good.example')], allowDns('good.example'), false],
    [[der(0x81, 'spiffe://a/b')], allowUri('spiffe://a/b'), false],
    // SPIFFE ids
    [[uri('spiffe://a/b')], allowUri('spiffe://a/b'), true],
    [[uri('spiffe://a/b'), dns('good.example')], allowUri('spiffe://a/b'), true],
    [[uri('spiffe://a/b/')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a//b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/x/../b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/./b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/%62')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/b?c')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/b#c')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a:443/b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://x@a/b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/b/c')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/')], allowUri('spiffe://a/b'), false],
    // several URIs: no SPIFFE certificate, but other URIs are as good as ever
    [[uri('spiffe://a/b'), uri('spiffe://a/c')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/b'), uri('spiffe://a/b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/b'), uri('https://a/b')], allowUri('spiffe://a/b'), false],
    [[uri('spiffe://a/b'), uri('https://a/b')], allowUri('https://a/b'), true],
    [[uri('spiffe://a/b'), uri('https://a/b'), dns('good.example')], allowDns('good.example'), true],
    [[uri('SPIFFE://a/b'), uri('https://a/b')], allowUri('SPIFFE://a/b'), false],
    // what a formatted list of names would show as another name
    [[uri('https://x/, URI:spiffe://a/b')], allowUri('spiffe://a/b'), false],
    [[uri('https://x/, DNS:good.example')], allowDns('good.example'), false],
    [[dns('x", DNS:"good.example')], allowDns('good.example'), false],
    [[uri('https://x/,y')], allowUri('https://x/,y'), true],
  ];
  for (const [list, allowed, passes] of table) {
    const read = readSubjectAltNames(withNames(...list));
    assert.equal(hasAllowedName(read, allowed), passes, JSON.stringify([read, allowed]));
  }
});

test('what is no certificate, or not DER, has no names', () => {
  const good = withNames(dns('good.example'));
  assert.deepEqual(readSubjectAltNames(good).dns, ['good.example']);
  const goodNames = names(dns('good.example'));
  const longNames = names(dns('a'.repeat(150)));
  const san = sanExtension(goodNames);
  const malformed: Record<string, Uint8Array> = {
    nothing: Buffer.alloc(0),
    'one byte': Buffer.of(0x30),
    text: Buffer.from('-----BEGIN CERTIFICATE-----'),
    'a byte after it': Buffer.concat([good, Buffer.of(0)]),
    'indefinite length': Buffer.concat([Buffer.of(0x30, 0x80), good.subarray(2), Buffer.of(0, 0)]),
    'length in too many octets': certificate(
      der(0x30, der(0x06, '\x55\x1d\x11'), Buffer.of(0x04, 0x81, goodNames.length), goodNames),
    ),
    'length with a zero in front': certificate(
      der(0x30, der(0x06, '\x55\x1d\x11'), Buffer.of(0x04, 0x82, 0, longNames.length), longNames),
    ),
    'length of four octets': Buffer.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff),
    'two extensions of names': certificate(san, san),
    'names that are no sequence': certificate(sanExtension(dns('good.example'))),
    'bytes after the names': certificate(sanExtension(Buffer.concat([names(dns('good.example')), Buffer.of(0)]))),
    'a name cut off': certificate(sanExtension(der(0x30, dns('good.example'), Buffer.of(0x82, 5, 0x61)))),
    'a name in pieces': withNames(dns('good.example'), der(0xa2, der(0x16, 'good.'), der(0x16, 'example'))),
    'an unknown type of name': withNames(dns('good.example'), der(0x89, 'x')),
    'a tag number above 30': withNames(dns('good.example'), Buffer.of(0x9f, 0x20, 0)),
    'an extension without value': certificate(san, der(0x30, der(0x06, '\x55\x1d\x0f'))),
    '1,001 names': withNames(...Array.from({ length: 1_001 }, () => dns('good.example'))),
    '64 KiB': withNames(dns('good.example'), ...Array.from({ length: 100 }, () => dns('x'.repeat(660)))),
  };
  for (const [what, bytes] of Object.entries(malformed)) assert.deepEqual(readSubjectAltNames(bytes), NONE, what);
  assert.equal(readSubjectAltNames(withNames(...Array.from({ length: 1_000 }, () => dns('x')))).dns.length, 1_000);
  const critical = der(0x30, der(0x06, '\x55\x1d\x11'), der(0x01, '\xff'), der(0x04, names(dns('good.example'))));
  assert.deepEqual(readSubjectAltNames(certificate(critical)).dns, ['good.example']);
});

test('nested and endless lengths end at once', () => {
  let deep: Buffer = Buffer.alloc(0);
  while (deep.length < 60_000) deep = der(0x30, deep);
  assert.deepEqual(readSubjectAltNames(deep), NONE);
  assert.deepEqual(readSubjectAltNames(Buffer.alloc(60_000, 0x30)), NONE);
  assert.deepEqual(readSubjectAltNames(Buffer.alloc(60_000)), NONE);
});

test('no bytes make it throw, and a cut or changed certificate has no name that was not in it', () => {
  const good = withNames(dns('good.example'), uri('spiffe://a/b'), ip(10, 0, 0, 1));
  const change = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(change, fc.nat(good.length), (changes, cut) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      const read = readSubjectAltNames(bytes);
      for (const name of [...read.dns, ...read.uris]) assert.ok(bytes.includes(Buffer.from(name, 'latin1')));
      if (cut < good.length) assert.deepEqual(readSubjectAltNames(good.subarray(0, cut)), NONE);
    }),
    { seed: 20, numRuns: 3_000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readSubjectAltNames(bytes);
      readSubjectAltNames(certificate(sanExtension(bytes)));
    }),
    { seed: 21, numRuns: 2_000 },
  );
});

test('addresses are written as configuration writes them', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 0, 0, 1, 0xab, 255), { minLength: 16, maxLength: 16 }), (bytes) => {
      const [text = ''] = readSubjectAltNames(withNames(ip(...bytes))).ips;
      assert.equal(canonicalIp(text), text);
      const [four = ''] = readSubjectAltNames(withNames(ip(...bytes.slice(0, 4)))).ips;
      assert.equal(canonicalIp(four), four);
    }),
    { seed: 22, numRuns: 500 },
  );
  assert.deepEqual(readSubjectAltNames(withNames(ip(...Array<number>(10).fill(0), 255, 255, 10, 0, 0, 1))).ips, [
    '::ffff:a00:1',
  ]);
});

test('names that can be allowed', () => {
  for (const value of [
    'web',
    'web.default.svc.cluster.local',
    'Web.Example',
    '_grpc.example',
    'xn--mnchen-3ya.example',
    '1.2.3',
  ]) {
    assert.equal(allowedNameProblem({ type: 'dns', value }), undefined, value);
  }
  for (const value of [
    'spiffe://example.org/ns/default/sa/web',
    'spiffe://example.org',
    'spiffe://a_b-c.1/X.y_z-0/...',
    `spiffe://a/${'b'.repeat(2037)}`,
    'https://example.org:8443/a,b?c=%20#d',
    'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  ]) {
    assert.equal(allowedNameProblem({ type: 'uri', value }), undefined, value);
  }
});

test('names that can not be allowed are refused with the reason and the fix', () => {
  const table: [AllowedName['type'], string, RegExp][] = [
    ['dns', '', /is empty; give/],
    ['uri', '', /is empty; give/],
    ['dns', '*', /without wildcards, so list each/],
    ['dns', '*.example', /without wildcards/],
    ['uri', 'spiffe://a/*', /without wildcards/],
    ['dns', 'good.example\0.evil', /control character; .*remove/],
    ['uri', 'spiffe://a/b\nc', /control character/],
    ['dns', 'münchen.example', /outside of ASCII; .*xn--/],
    ['uri', 'spiffe://a/ü', /outside of ASCII; .*percent-encoded/],
    ['dns', 'good.example.', /ends with a dot; .*remove/],
    ['dns', 'good..example', /empty label/],
    ['dns', '.example', /empty label/],
    ['dns', 'good example', /is no DNS name; use/],
    ['dns', `${'a'.repeat(64)}.example`, /more than 63/],
    ['dns', Array(65).fill('abc').join('.'), /longer than the 253/],
    ['dns', '127.0.0.1', /is an IP address/],
    ['dns', '::1', /is an IP address/],
    ['dns', '[2001:DB8::1]', /is an IP address/],
    ['dns', 'good.example:443', /has no port/],
    ['dns', 'spiffe://a/b', /is a URI; give it as `uri`/],
    ['uri', 'example.org/a', /has no scheme; write/],
    ['uri', 'example.org', /has no scheme/],
    ['uri', '//example.org', /has no scheme/],
    ['uri', 'https:', /nothing after its scheme/],
    ['uri', 'https://a/b c', /percent-encode/],
    ['uri', 'https://a/%zz', /percent-encode/],
    ['uri', 'SPIFFE://a/b', /`spiffe:\/\/`, in lower case/],
    ['uri', 'spiffe:/a/b', /begins with `spiffe:\/\/`/],
    ['uri', 'spiffe://', /trust domain is empty/],
    ['uri', 'spiffe:///a', /trust domain is empty/],
    ['uri', 'spiffe://A/b', /lower case; write it so/],
    ['uri', 'spiffe://a:443/b', /no port; remove/],
    ['uri', 'spiffe://me@a/b', /user information; remove/],
    ['uri', 'spiffe://a%62/b', /only a-z, 0-9/],
    ['uri', `spiffe://${'a'.repeat(256)}/b`, /longer than 255 bytes/],
    ['uri', 'spiffe://a/b?c', /query; remove/],
    ['uri', 'spiffe://a?c/d', /query; remove/],
    ['uri', 'spiffe://a/b#c', /fragment; remove/],
    ['uri', 'spiffe://a/', /ends with a slash; remove/],
    ['uri', 'spiffe://a/b/', /ends with a slash/],
    ['uri', 'spiffe://a//b', /empty segment; write single/],
    ['uri', 'spiffe://a/./b', /`\.` or `\.\.`/],
    ['uri', 'spiffe://a/b/..', /`\.` or `\.\.`/],
    ['uri', 'spiffe://a/%62', /no percent-encoding/],
    ['uri', 'spiffe://a/b,c', /path has only/],
    ['uri', `spiffe://a/${'b'.repeat(2038)}`, /longer than 2048/],
  ];
  for (const [type, value, reason] of table) {
    assert.match(allowedNameProblem({ type, value }) ?? 'none', reason, JSON.stringify(value));
  }
});

test('a reason never shows the name, and no text makes the check throw', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('dns' as const, 'uri' as const),
      fc.string({ unit: 'binary', maxLength: 40 }),
      (type, text) => {
        for (const value of [text, `spiffe://${text}`, `spiffe://a/${text}`]) {
          const problem = allowedNameProblem({ type, value });
          assert.ok(problem === undefined || /^[\x20-\x7e]+$/.test(problem));
        }
      },
    ),
    { seed: 23, numRuns: 300 },
  );
});
