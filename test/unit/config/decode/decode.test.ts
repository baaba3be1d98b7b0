import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';
import { decodeResource } from '../../../../src/config/decode/decode.ts';
import { describeProblems, type Kind, KINDS, type Messages } from '../../../../src/config/resource.ts';
import { type DeepPartial, encode } from '../../../support/resources.ts';

function problems(kind: Kind, name: string, bytes: Uint8Array): string {
  const decoded = decodeResource(kind, name, bytes);
  return decoded.ok ? '' : describeProblems(decoded.problems);
}

function sidecar(partial: DeepPartial<Messages['Sidecar']>, name = 'default'): string {
  return problems('Sidecar', name, encode('Sidecar', partial));
}

function listener(partial: DeepPartial<Messages['Listener']>): string {
  return problems('Listener', 'outbound/80', encode('Listener', partial));
}

function endpoints(partial: DeepPartial<Messages['Endpoints']>, name = 'shop/cart/80'): string {
  return problems('Endpoints', name, encode('Endpoints', partial));
}

test('a good resource keeps its bytes, its name and its message', () => {
  const bytes = encode('Sidecar', { listeners: ['outbound/80'] });
  const decoded = decodeResource('Sidecar', 'node-1', bytes);
  assert.ok(decoded.ok);
  assert.equal(decoded.resource.name, 'node-1');
  assert.equal(decoded.resource.bytes, bytes);
  assert.deepEqual(decoded.resource.message.listeners, ['outbound/80']);
  assert.equal(decoded.resource.unknownFields, 0);
});

test('names', () => {
  assert.equal(sidecar({ name: 'default' }), '');
  assert.equal(sidecar({ name: 'other' }), "name: 'other' differs from the resource name 'default'");
  assert.equal(sidecar({}, ''), 'name: required: a name');
  assert.equal(sidecar({}, '*'), "name: '*' can't be a name");
  assert.equal(sidecar({}, 'a b'), "name: 'a b' must have no blanks or control characters");
});

test('Sidecar', () => {
  assert.equal(sidecar({ listeners: ['a', 'b'], gateway: false }), '');
  assert.equal(sidecar({ gateway: true, adminApi: ':9180' }), '');
  for (const adminApi of ['127.0.0.1:9180', '[::1]:9180', 'control.example:1']) assert.equal(sidecar({ adminApi }), '');
  assert.equal(sidecar({ adminApi: '9180' }), "admin_api: '9180' has no port: it must be HOST:PORT");
  assert.equal(sidecar({ adminApi: ':0' }), "admin_api: ':0': port '0' must be between 1 and 65535");
  assert.equal(sidecar({ adminApi: 'a:b:1' }), "admin_api: 'a:b:1' is not HOST:PORT");
  assert.equal(sidecar({ adminApi: '' }), "admin_api: '' has no host: it must be HOST:PORT");
  assert.equal(sidecar({ adminApi: '1.2.3:80' }), "admin_api: '1.2.3' is no IP address and no DNS name");
  assert.equal(sidecar({ listeners: ['a', 'b', 'a'] }), "listeners[2]: 'a' is named by listeners[0] already");
  assert.equal(sidecar({ listeners: ['*'] }), "listeners[0]: '*' can't be a name");
});

test('Listener', () => {
  const cart = { upstream: 'shop/cart', servicePort: 80 };
  const blog = { upstream: 'blog/blog', servicePort: 80 };
  assert.equal(listener({ port: 0, targets: [cart] }), '');
  assert.equal(listener({ port: 80, address: '::', protocols: 'http2', targets: [cart, blog] }), '');
  assert.equal(listener({}), 'port: required; 0 takes a free one; targets: required: at least one');
  assert.equal(listener({ port: 65536, targets: [cart] }), 'port: must be between 0 and 65535, not 65536');
  assert.equal(listener({ port: 80, targets: [cart], tls: {} }), 'tls.certificates: required: at least one');
  assert.equal(
    listener({ port: 80, targets: [cart], protocols: 'http3' }),
    "protocols: 'http3' is none of auto, http1, http2: did you mean 'http1'?",
  );
  assert.equal(
    listener({ port: 80, targets: [cart], address: '[::1]' }),
    "address: '[::1]' must stand without brackets here",
  );
  assert.match(
    listener({ port: 80, targets: [cart], address: 'a.example' }),
    /'a\.example' is a DNS name: give an IP address/,
  );
  assert.equal(
    listener({ port: 80, targets: [{}] }),
    'targets[0].upstream: required: a name; targets[0].service_port: must be between 1 and 65535, not 0',
  );
});

test('Listener: each target can be picked', () => {
  const cart = { upstream: 'shop/cart', servicePort: 80 };
  const blog = { upstream: 'blog/blog', servicePort: 80 };
  assert.equal(
    listener({ port: 80, targets: [cart, cart] }),
    'targets[1]: has the upstream and service port of targets[0]',
  );
  assert.equal(
    listener({
      port: 80,
      targets: [
        { ...cart, authorities: ['A.example:80'] },
        { ...blog, authorities: ['a.EXAMPLE'] },
      ],
    }),
    "targets[1].authorities[0]: 'a.EXAMPLE' picks targets[0] already",
  );
  assert.equal(
    listener({ port: 80, targets: [{ ...cart, authorities: ['a', 'A'] }, blog] }),
    "targets[0].authorities[1]: 'A' is there twice",
  );
  assert.equal(
    listener({ port: 80, targets: [{ ...cart, authorities: ['a/b', ''] }, blog] }),
    "targets[0].authorities[0]: 'a/b' is no authority; targets[0].authorities[1]: '' is no authority",
  );
  // Requests are told apart without brackets and the final dot, so these are the same.
  for (const [one, other] of [
    ['a.example.', 'A.example:80'],
    ['[::1]:80', '::1'],
    ['[::1]', '[::1]:8080'],
  ] as const) {
    assert.equal(
      listener({
        port: 80,
        targets: [
          { ...cart, authorities: [one] },
          { ...blog, authorities: [other] },
        ],
      }),
      `targets[1].authorities[0]: '${other}' picks targets[0] already`,
    );
  }
  for (const never of ['a:b', 'a:80:80', '[a]', '[::1', '.']) {
    assert.equal(
      listener({ port: 80, targets: [{ ...cart, authorities: [never] }, blog] }),
      `targets[0].authorities[0]: '${never}' is no authority`,
    );
  }
  assert.equal(
    listener({ port: 80, targets: [{ ...cart, authorities: ['*.a.example'] }, blog] }),
    "targets[0].authorities[0]: '*.a.example' has a wildcard, which is not supported: name each",
  );
  assert.match(
    listener({ port: 80, targets: [cart, { ...cart, servicePort: 81 }] }),
    /^targets\[1\]\.authorities: an earlier target has all of the default authorities/,
  );
});

test('Endpoints', () => {
  const good = { address: '10.0.0.1', port: 80 };
  assert.equal(endpoints({}), '');
  assert.equal(
    endpoints({
      endpoints: [{ ...good, weight: 2 ** 32 - 1, priority: -(2 ** 31), state: 'draining', locality: { zone: 'a' } }],
    }),
    '',
  );
  assert.match(endpoints({}, 'shop/cart'), /^name: must be namespace\/service\/port/);
  assert.match(endpoints({}, 'shop/cart/65536'), /^name: must be/);
  assert.match(endpoints({}, 'shop/cart/080'), /^name: must be/);
  assert.equal(
    endpoints({ endpoints: [good, { ...good, priority: 1, state: 'redy', weight: 0 }] }),
    "endpoints[1].state: 'redy' is none of ready, draining: did you mean 'ready'?",
  );
  assert.equal(
    endpoints({ endpoints: [{ address: 'backend.example', port: 0 }] }),
    "endpoints[0].address: 'backend.example' is a DNS name: it goes into nodes of the Upstream, with its port; " +
      'endpoints[0].port: must be between 1 and 65535, not 0',
  );
  assert.match(endpoints({ endpoints: [{ address: 'fe80::1%eth0', port: 1 }] }), /zone/);
});

test('fields that are not known are counted, also nested ones, and change nothing', () => {
  const writer = new BinaryWriter();
  writer.tag(200, WireType.Varint).uint32(1).tag(200, WireType.Varint).uint32(2);
  writer.tag(17, WireType.LengthDelimited).fork();
  writer.tag(99, WireType.LengthDelimited).string('later').tag(3, WireType.Bit64).double(5);
  writer.join();
  writer.tag(201, WireType.StartGroup).tag(1, WireType.Varint).uint32(1).tag(201, WireType.EndGroup);
  const decoded = decodeResource('Upstream', 'shop/cart', writer.finish());
  assert.ok(decoded.ok);
  assert.equal(decoded.resource.unknownFields, 4);
  assert.equal(decoded.resource.message.timeout?.read, 5);
});

test('wrong wire types and broken bytes are problems with a place', () => {
  const of = (write: (writer: BinaryWriter) => void): string => {
    const writer = new BinaryWriter();
    write(writer);
    return problems('Upstream', 'shop/cart', writer.finish());
  };
  assert.equal(
    of((writer) => writer.tag(13, WireType.Varint).uint32(1)),
    'scheme: the wire holds a varint where string belongs',
  );
  assert.equal(
    of((writer) => writer.tag(5, WireType.LengthDelimited).fork().tag(17, WireType.Bit64).double(1).join()),
    'port_level_settings[0].timeout: the wire holds 64 bits where message belongs',
  );
  assert.equal(
    of((writer) => writer.tag(13, WireType.LengthDelimited).bytes(Uint8Array.of(0xc3, 0x28))),
    'scheme: is not UTF-8',
  );
  assert.equal(
    of((writer) => writer.tag(14, WireType.Varint).uint64(2n ** 32n + 80n)),
    'retries: 4294967376 does not fit in 32 bits',
  );
  const twice = (writer: BinaryWriter): BinaryWriter =>
    writer.tag(17, WireType.LengthDelimited).fork().tag(1, WireType.Bit64).double(1).join();
  assert.equal(
    of((writer) => twice(twice(writer))),
    'timeout: is there twice; a message that stands alone may be sent once',
  );
  // A stray end of group and a zero tag end a generated decoder without an error.
  assert.match(
    of((writer) => writer.tag(13, WireType.EndGroup)),
    /scheme: the wire holds the end of a group|undecodable/,
  );
  assert.match(problems('Upstream', 'a/b', Uint8Array.of(0, 0, 0)), /^undecodable bytes/);
  assert.match(problems('Upstream', 'a/b', Uint8Array.of(0x6a, 200)), /^undecodable bytes/);
  // A nested message that runs past its parent.
  assert.match(problems('Upstream', 'a/b', Uint8Array.of(0x2a, 4, 0x8a, 1, 50, 0)), /undecodable bytes/);
  // Groups in groups.
  assert.match(problems('Upstream', 'a/b', new Uint8Array(100_000).fill(0xa3)), /undecodable bytes/);
  const deep = new BinaryWriter();
  for (let i = 0; i < 5000; i++) deep.tag(300, WireType.StartGroup);
  assert.match(problems('Upstream', 'a/b', deep.finish()), /undecodable bytes at offset \d+: maximum recursion depth/);
});

test('random bytes never throw and never hang', () => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.uint8Array({ maxLength: 64 }), fc.string(), (kind, bytes, name) => {
      const decoded = decodeResource(kind, name, bytes);
      if (!decoded.ok) assert.ok(decoded.problems.length > 0);
    }),
    { seed: 11, numRuns: 3000 },
  );
});

test('a message with a byte changed is decoded or refused, and what is decoded encodes', () => {
  const message = Upstream.fromPartial({
    name: 'shop/cart',
    labels: { a: 'b' },
    nodes: [{ host: '10.0.0.1', weight: 3 }],
    portLevelSettings: [{ port: 80, timeout: { read: 5 }, checks: { active: { healthy: { httpStatuses: [200] } } } }],
  });
  const good = Upstream.encode(message).finish();
  fc.assert(
    fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), fc.boolean(), (at, byte, cut) => {
      const bytes = Uint8Array.from(cut ? good.subarray(0, at) : good);
      if (!cut) bytes[at] = byte;
      const decoded = decodeResource('Upstream', 'shop/cart', bytes);
      if (decoded.ok) Upstream.encode(decoded.resource.message).finish();
    }),
    { seed: 12, numRuns: 3000 },
  );
});
