import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import { writeNative } from '../../../src/config/native.ts';
import { redact } from '../../../src/config/redact.ts';
import { describeProblems } from '../../../src/config/resource.ts';
import { Secret } from '../../../src/gen/outrigger/config/v1/secret.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { encode } from '../../support/resources.ts';

const authority = await issueAuthority();
const pair = await issueCertificate(authority, { dns: ['client.example'] });
const tls = { clientCert: pair.certificatePem, clientKey: pair.keyPem, verify: false };

const WITH_KEYS = {
  name: 'shop/cart',
  labels: { app: 'cart' },
  tls,
  scheme: 'https',
  portLevelSettings: [
    { port: 1, scheme: 'http' },
    { port: 2, tls: { ...tls, serverName: 'a.example' } },
  ],
};

test('keys of an Upstream are taken out at any depth, and nothing else is', () => {
  const bytes = encode('Upstream', WITH_KEYS);
  const { bytes: shown, redacted } = redact('Upstream', bytes);
  assert.equal(redacted, true);
  assert.equal(Buffer.from(shown).includes('PRIVATE KEY'), false);
  assert.equal(Buffer.from(bytes).includes('PRIVATE KEY'), true);
  const expected = encode('Upstream', {
    ...WITH_KEYS,
    tls: { ...tls, clientKey: '[redacted]' },
    portLevelSettings: [
      { port: 1, scheme: 'http' },
      { port: 2, tls: { ...tls, clientKey: '[redacted]', serverName: 'a.example' } },
    ],
  });
  assert.deepEqual(Upstream.decode(shown), Upstream.decode(expected));
  // What was redacted is the same again, and says so again.
  const again = redact('Upstream', shown);
  assert.deepEqual([Buffer.from(again.bytes), again.redacted], [Buffer.from(shown), true]);
  const decoded = decodeResource('Upstream', 'shop/cart', shown);
  assert.ok(decoded.ok, decoded.ok ? '' : describeProblems(decoded.problems));
});

test('the key of a Secret is taken out', () => {
  const secret = {
    name: 'shop/tls',
    certificate: Buffer.from(pair.certificatePem),
    privateKey: Buffer.from(pair.keyPem),
    ca: Buffer.from(authority.certificatePem),
  };
  const { bytes, redacted } = redact('Secret', encode('Secret', secret));
  assert.equal(redacted, true);
  assert.deepEqual(
    Secret.decode(bytes),
    Secret.decode(encode('Secret', { ...secret, privateKey: Buffer.from('[redacted]') })),
  );
});

test('keys of a Consumer are taken out, those of its credentials too, and nothing else is', () => {
  const consumer = (key: string): Uint8Array =>
    encode('Consumer', {
      name: 'jack',
      labels: { custom_id: '7' },
      plugins: { keyAuth: { key }, limitCount: { count: '1', timeWindow: '2' } },
      credentials: [
        { id: 'a', keyAuth: { key } },
        { id: 'b', desc: 'd', keyAuth: { key } },
      ],
    });
  const { bytes, redacted } = redact('Consumer', consumer('CANARY'));
  assert.equal(redacted, true);
  assert.equal(Buffer.from(bytes).includes('CANARY'), false);
  assert.deepEqual(Buffer.from(bytes), Buffer.from(consumer('[redacted]')));
  const none = encode('Consumer', { name: 'jack', plugins: { limitCount: { count: '1', timeWindow: '2' } } });
  assert.deepEqual(redact('Consumer', none), { bytes: none, redacted: false });
  const route = encode('Route', { plugins: { keyAuth: { header: 'x' } } });
  assert.deepEqual(redact('Route', route), { bytes: route, redacted: false });
});

test('without a key the bytes are the same object', () => {
  for (const bytes of [
    encode('Upstream', { name: 'a/b', tls: { verify: false, clientCertId: 'a/b' } }),
    encode('Upstream', { tls: { clientKey: '' } }),
    encode('Upstream', {}),
  ]) {
    const result = redact('Upstream', bytes);
    assert.equal(result.bytes, bytes);
    assert.equal(result.redacted, false);
  }
  const endpoints = Uint8Array.of(0xff);
  assert.deepEqual(redact('Endpoints', endpoints), { bytes: endpoints, redacted: false });
});

test('unknown fields stay, and a key in another form on the wire goes', () => {
  const writer = new BinaryWriter();
  writer.tag(900, WireType.LengthDelimited).string('later');
  writer.tag(23, WireType.LengthDelimited).fork();
  writer.tag(99, WireType.Varint).uint32(7).tag(2, WireType.LengthDelimited).string('CANARY').tag(4, WireType.Varint);
  writer.bool(false).join();
  const known = writer.finish();
  const shown = redact('Upstream', known);
  assert.equal(shown.redacted, true);
  const message = Upstream.decode(shown.bytes);
  assert.equal(message.tls?.clientKey, '[redacted]');
  assert.equal(message.tls.verify, false);
  assert.deepEqual(Object.keys(message._unknownFields ?? {}).length, 1);
  assert.deepEqual(Object.keys(message.tls._unknownFields ?? {}).length, 1);

  const group = new BinaryWriter().tag(3, WireType.StartGroup).tag(1, WireType.LengthDelimited).string('CANARY');
  group.tag(3, WireType.EndGroup).tag(4, WireType.LengthDelimited).string('ca');
  const secret = redact('Secret', group.finish());
  assert.equal(Buffer.from(secret.bytes).toString('latin1'), '\x22\x02ca');
});

test('broken bytes show nothing', () => {
  const bytes = encode('Upstream', { tls: { clientKey: 'CANARY' } });
  for (let cut = 1; cut < bytes.length; cut++) {
    const shown = redact('Upstream', bytes.subarray(0, cut));
    assert.deepEqual([shown.bytes.length, shown.redacted], [0, true]);
  }
});

test('random Upstreams: a key never gets through, and the rest decodes as before', () => {
  const key = fc.option(
    fc.string({ maxLength: 8, unit: 'grapheme-ascii' }).map((text) => `CANARY${text}`),
    { nil: undefined },
  );
  const level = fc.record({ clientKey: key, serverName: fc.constantFrom(undefined, 'a') });
  fc.assert(
    fc.property(level, fc.array(level, { maxLength: 4 }), (top, ports) => {
      const make = (hide: boolean): Uint8Array => {
        const shown = (one: typeof top): typeof top =>
          hide && one.clientKey !== undefined ? { ...one, clientKey: '[redacted]' } : one;
        return encode('Upstream', {
          tls: shown(top),
          portLevelSettings: ports.map((one, i) => ({ port: i + 1, tls: shown(one) })),
        });
      };
      const result = redact('Upstream', make(false));
      assert.deepEqual(Buffer.from(result.bytes), Buffer.from(make(true)));
      assert.equal(
        result.redacted,
        [top, ...ports].some(({ clientKey }) => clientKey !== undefined),
      );
    }),
    { seed: 51, numRuns: 300 },
  );
});

test('a native document shows no key', () => {
  const decoded = decodeResource('Upstream', 'shop/cart', encode('Upstream', WITH_KEYS));
  assert.ok(decoded.ok);
  const document = JSON.stringify(writeNative(decoded.resource));
  assert.doesNotMatch(document, /PRIVATE KEY/);
  assert.equal(document.split('"client_key":"[redacted]"').length, 3);
});
