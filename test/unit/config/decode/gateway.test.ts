import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeResource } from '../../../../src/config/decode/decode.ts';
import { describeProblems, type GatewayKind, type Messages } from '../../../../src/config/resource.ts';
import { isVariable } from '../../../../src/model/variable-names.ts';
import { parseTemplate } from '../../../../src/model/key-template.ts';
import { type DeepPartial, encode } from '../../../support/resources.ts';

function problems<K extends GatewayKind>(kind: K, partial: DeepPartial<Messages[K]>, name = '1'): string {
  const decoded = decodeResource(kind, name, encode(kind, partial));
  return decoded.ok ? '' : describeProblems(decoded.problems);
}

function route(partial: DeepPartial<Messages['Route']>, name = '1'): string {
  return problems('Route', { uris: ['/'], ...partial }, name);
}

type LimitCount = DeepPartial<NonNullable<NonNullable<Messages['Route']['plugins']>['limitCount']>>;

/** With a sound count and window, which `plugin` may replace. */
function limit(plugin: LimitCount): string {
  const limitCount = { count: '2', timeWindow: '60', ...plugin };
  return route({ plugins: { limitCount } }).replaceAll('plugins.limit_count.', '');
}

const LONG = 'x'.repeat(257);
const QUANTITY = 'a whole number from 1 to 9007199254740991, or a template that gives one, such as $http_quota';

test('ids and names', () => {
  for (const id of ['1', 'a-B_9.x', 'x'.repeat(64)]) {
    assert.equal(route({}, id), '');
    assert.equal(problems('Service', {}, id), '');
    assert.equal(problems('PluginConfig', {}, id), '');
  }
  for (const id of ['a/b', 'ü', 'a:b']) {
    assert.equal(route({}, id), `name: '${id}' is no id: letters, digits, -, _ and . are allowed`);
  }
  assert.match(route({}, 'x'.repeat(65)), /^name: 'x+…' must have at most 64 characters$/);
  assert.equal(route({}, ''), 'name: required: a name');
  assert.equal(problems('Consumer', {}, 'x'.repeat(256)), '');
  assert.match(problems('Consumer', {}, LONG), /must have at most 256 characters$/);
  assert.equal(
    problems('Consumer', {}, 'a.b'),
    "name: 'a.b' is no name of a consumer: letters, digits, - and _ are allowed",
  );
});

test('a whole Route', () => {
  assert.equal(
    route({
      displayName: 'n',
      desc: 'd',
      labels: { a: 'b' },
      uris: ['/a', '/b/*'],
      hosts: ['a.example', '*.a.example'],
      methods: ['GET', 'PURGE', 'M-SEARCH'],
      remoteAddrs: ['10.0.0.0/8', '::1', '::/0', '1.2.3.4'],
      vars: '[["arg_a","==","b"]]',
      priority: -5,
      status: 0,
      plugins: { keyAuth: {}, limitCount: { count: '1', timeWindow: '1' } },
      pluginConfigId: 'p',
      serviceId: 's',
      upstreamId: 'shop/cart',
      servicePort: 65535,
      timeout: { connect: 0.1, send: 1, read: 1 },
      enableWebsocket: true,
    }),
    '',
  );
});

test('Route: what is refused', () => {
  assert.equal(problems('Route', {}), 'uris: required: at least one path that starts with /');
  assert.equal(route({ uris: ['/a', 'b', '/a'] }), "uris[1]: 'b' must start with /; uris[2]: '/a' is there twice");
  assert.equal(route({ hosts: ['a.example', 'A.Example'] }), "hosts[1]: 'A.Example' is there twice");
  assert.equal(route({ hosts: [''] }), 'hosts[0]: required: a host; for any host leave the list out');
  assert.equal(route({ methods: ['get'] }), "methods[0]: 'get': methods are in upper case: write 'GET'");
  assert.equal(route({ methods: ['G T', ''] }).split(';')[0], "methods[0]: 'G T' is no method");
  assert.equal(route({ methods: ['GET', 'GET'] }), "methods[1]: 'GET' is there twice");
  assert.equal(
    route({ remoteAddrs: ['10.0.0.0/33', '::/129', '10.0.0.0/x'] }),
    "remote_addrs[0]: '10.0.0.0/33': behind the slash stands the length of the prefix, 0 to 32; " +
      "remote_addrs[1]: '::/129': behind the slash stands the length of the prefix, 0 to 128; " +
      "remote_addrs[2]: '10.0.0.0/x': behind the slash stands the length of the prefix, 0 to 32",
  );
  assert.equal(
    route({ remoteAddrs: ['[::1]', 'web.example'] }),
    "remote_addrs[0]: '[::1]' must stand without brackets here; " +
      "remote_addrs[1]: 'web.example' is a DNS name: give an IP address or CIDR block",
  );
  assert.equal(route({ remoteAddrs: ['10.0.0.1/8', '10.9.9.9/8'] }), "remote_addrs[1]: '10.9.9.9/8' is there twice");
  assert.equal(route({ vars: '[["arg_a","=","b"]]' }).split(' is none')[0], "vars[0][1]: '='");
  assert.equal(route({ status: 2 }), 'status: must be between 0 and 1, not 2');
  assert.equal(route({ desc: LONG, displayName: LONG }).split('256').length, 3);
  assert.equal(route({ serviceId: '', pluginConfigId: 'a/b' }).split(';').length, 2);
  assert.equal(route({ upstreamId: '' }), 'upstream_id: required: a name');
  assert.equal(
    route({ servicePort: 80 }),
    'service_port: only beside upstream_id: name the Upstream whose service port it is',
  );
  assert.equal(route({ upstreamId: 'u', servicePort: 65536 }), 'service_port: must be between 1 and 65535, not 65536');
  assert.equal(
    route({ timeout: { connect: 0, send: 1 } }),
    'timeout.connect: must be greater than 0; timeout.read: required: connect, send and read stand together, in seconds',
  );
});

test('Service', () => {
  assert.equal(problems('Service', { hosts: ['a'], upstreamId: 'services/1', servicePort: 0, plugins: {} }), '');
  assert.equal(
    problems('Service', {
      hosts: ['a:80'],
      servicePort: 1,
      plugins: { keyAuth: { header: 'a b' } },
      displayName: LONG,
    }),
    "display_name: must have at most 256 characters; hosts[0]: 'a:80': hosts are compared without their port: write 'a'; " +
      "plugins.key_auth.header: 'a b' is no name of a field: letters, digits, - and _ are; " +
      'service_port: only beside upstream_id: name the Upstream whose service port it is',
  );
});

test('PluginConfig, and metadata of plugins', () => {
  const limitCount = { limitHeader: 'X-L' };
  const metadata = { limitCount };
  assert.equal(problems('PluginConfig', { plugins: { keyAuth: { disabled: true } } }), '');
  assert.equal(
    problems('PluginConfig', { metadata }),
    'metadata: only in a PluginConfig that is named plugin_metadata/ and the name of a plugin',
  );
  assert.equal(problems('PluginConfig', { metadata }, 'plugin_metadata/limit-count'), '');
  assert.equal(
    problems('PluginConfig', { metadata: {} }, 'plugin_metadata/limit-count'),
    'metadata.limit_count: required: the metadata of limit-count',
  );
  assert.equal(
    problems('PluginConfig', { metadata, plugins: {} }, 'plugin_metadata/limit-count'),
    'plugins: not beside metadata: put them into a PluginConfig of their own',
  );
  assert.equal(
    problems(
      'PluginConfig',
      { metadata: { limitCount: { resetHeader: 'a b', remainingHeader: '' } } },
      'plugin_metadata/limit-count',
    ),
    'metadata.limit_count.remaining_header: must not be empty: leave it out for its default; ' +
      "metadata.limit_count.reset_header: 'a b' is no name of a field: letters, digits, - and _ are",
  );
  assert.equal(
    problems('PluginConfig', { metadata }, 'plugin_metadata/limit-counts'),
    "name: there is no plugin 'limit-counts': did you mean 'limit-count'?",
  );
  assert.equal(
    problems('PluginConfig', { metadata }, 'plugin_metadata/key-auth'),
    "name: 'key-auth' has no metadata; limit-count has",
  );
});

test('key-auth', () => {
  const of = (keyAuth: NonNullable<NonNullable<DeepPartial<Messages['Route']>['plugins']>['keyAuth']>): string =>
    route({ plugins: { keyAuth } }).replaceAll('plugins.key_auth.', '');
  assert.equal(of({ header: 'X-Key', query: 'k y', realm: ' !#[]~', anonymousConsumer: 'jack' }), '');
  assert.equal(of({ realm: 'x'.repeat(128) }), '');
  assert.match(of({ realm: 'x'.repeat(129) }), /at most 128 characters$/);
  const printable = 'must have printable ASCII characters only, without " and \\';
  assert.equal(of({ realm: 'a"' }), `realm: 'a"' ${printable}`);
  assert.equal(of({ realm: 'a\\' }), `realm: 'a\\' ${printable}`);
  assert.equal(of({ realm: 'ä' }), `realm: 'ä' ${printable}`);
  assert.equal(of({ realm: '' }), 'realm: must not be empty: leave it out for its default');
  assert.equal(of({ header: '', query: '' }).split('must not be empty').length, 3);
  assert.equal(of({ query: 'a\n' }), "query: 'a\\n' must have no control characters");
  assert.match(of({ anonymousConsumer: 'a b' }), /^anonymous_consumer: 'a b' is no name of a consumer/);
});

test('limit-count: templates, keys and words', () => {
  for (const count of ['1', '9007199254740991', '$http_quota', '${http_quota ?? 10}', '${arg_a}0', '$arg_a$cookie_b']) {
    assert.equal(limit({ count }), '');
  }
  assert.equal(limit({ count: '9007199254740992' }), `count: must be ${QUANTITY}, not '9007199254740992'`);
  assert.equal(limit({ count: '1.5' }), `count: must be ${QUANTITY}, not '1.5'`);
  assert.equal(
    limit({ count: '-$http_a' }),
    "count: '-$http_a' never gives a whole number: digits alone may stand beside variables",
  );
  assert.equal(
    limit({ timeWindow: '${http_a ?? x}' }),
    "time_window: '${http_a ?? x}': what stands behind ?? must be a whole number",
  );
  assert.equal(limit({ key: 'http_x', keyType: 'var' }), '');
  assert.equal(limit({ key: '$arg_a $http_b', keyType: 'var_combination' }), '');
  assert.equal(limit({ key: 'any text', keyType: 'constant' }), '');
  assert.equal(
    limit({ key: '$http_x' }),
    "key: '$http_x': a variable stands without its dollar sign ('http_x'), a template with key_type: var_combination",
  );
  assert.equal(limit({ key: '' }), 'key: must not be empty: leave it out for remote_addr');
  assert.equal(
    limit({ keyType: 'var_combinations', windowType: 'slide' }),
    "window_type: 'slide' is none of fixed, sliding; " +
      "key_type: 'var_combinations' is none of var, var_combination, constant: did you mean 'var_combination'?",
  );
  assert.equal(limit({ rejectedCode: 200 }), '');
  assert.equal(limit({ rejectedCode: 199 }), 'rejected_code: must be between 200 and 599, not 199');
  assert.equal(limit({ rejectedCode: 600 }), 'rejected_code: must be between 200 and 599, not 600');
  assert.equal(limit({ group: '' }), 'group: must not be empty: leave it out for counters of its own');
  // Switched off it needs no limit, but what stands there must be sound.
  assert.equal(route({ plugins: { limitCount: { disabled: true } } }), '');
  assert.equal(limit({ disabled: true, count: '0' }), `count: must be ${QUANTITY}, not '0'`);
});

test('limit-count: rules', () => {
  const rule = { key: '$remote_addr', count: '2', timeWindow: '2' };
  const of = (plugin: LimitCount): string =>
    route({ plugins: { limitCount: plugin } }).replaceAll('plugins.limit_count.', '');
  assert.equal(of({ rules: [rule, { ...rule, key: '$uri', headerPrefix: 'a' }] }), '');
  assert.equal(
    of({ rules: [rule], count: '1', timeWindow: '1', group: 'g' }),
    ['count', 'time_window', 'group']
      .map((name) => `${name}: not together with rules: leave one of them out`)
      .join('; '),
  );
  assert.equal(of({ rules: [rule, rule] }), "rules[1].key: '$remote_addr' is the key of rules[0] already");
  assert.equal(
    of({ rules: [{ key: '', headerPrefix: 'a b' }] }),
    `rules[0].key: required: a template such as $remote_addr; rules[0].count: required: ${QUANTITY}; ` +
      `rules[0].time_window: required: ${QUANTITY}; ` +
      "rules[0].header_prefix: 'a b' is no name of a field: letters, digits, - and _ are",
  );
});

test('limit-count: what could never work', () => {
  const combination = (key: string) => limit({ key, keyType: 'var_combination' });
  for (const key of ['remote_addr', 'arg_a', 'http_x-y', 'consumer_name']) assert.equal(limit({ key }), '', key);
  assert.equal(limit({ key: 'remote_add' }), "key: there is no variable 'remote_add': did you mean 'remote_addr'?");
  assert.equal(limit({ key: 'http_' }), "key: 'http_': a name must stand behind http_");
  assert.equal(limit({ key: 'arg_' }), "key: 'arg_': a name must stand behind arg_");
  assert.equal(limit({ key: 'post_arg_a' }), "key: the variable 'post_arg_a' is not supported yet");
  for (const key of ['${http_a}', '$http_a', '${ http_a ?? x }', 'a-$http_a']) {
    assert.equal(
      limit({ key }),
      `key: '${key}': a variable stands without its dollar sign ('http_a'), a template with key_type: var_combination`,
    );
  }
  assert.equal(limit({ key: '$' }), 'key: must be the name of a variable, such as arg_name');
  assert.equal(combination('remote_addr'), "key: 'remote_addr' has no variable in it: did you mean '$remote_addr'?");
  assert.equal(combination('all of us'), "key: 'all of us' has no variable in it, such as $remote_addr");
  assert.equal(
    combination('$remote_addr $remote_prot'),
    "key: there is no variable 'remote_prot': did you mean 'remote_port'?",
  );
  assert.equal(
    limit({ count: '$remote_prot', timeWindow: '$remote_addr' }),
    "count: there is no variable 'remote_prot': did you mean 'remote_port'?; " +
      "time_window: '$remote_addr' never gives a whole number",
  );
  for (const [count, byDefault] of [
    ['${http_a ?? 0}', '0'],
    ['0${http_a ?? 0}', '00'],
    ['${http_a ?? 9007199254740992}', '9007199254740992'],
    ['${http_a ?? 123456789}${http_b ?? 123456789}', '123456789123456789'],
  ]) {
    assert.equal(
      limit({ count }),
      `count: '${count}' comes to '${byDefault}' by default: must be from 1 to 9007199254740991`,
    );
  }
  for (const count of ['1${http_a ?? 0}', '${http_a ?? 0}5', '$http_a${http_b ?? 0}'])
    assert.equal(limit({ count }), '');
});

test('templates of settings have the variables that requests are read for', () => {
  const piece = fc.constantFrom('$', '${', '{', '}', '\\', 'uri', 'arg_a', 'nope', ' ', '??', '0', '.');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const key = pieces.join('');
      const variables = parseTemplate(key).filter((part) => part.kind === 'variable');
      const isSound = variables.every(({ name }) => isVariable(name) && !/\s/.test(name));
      assert.equal(
        key !== '' && limit({ key, keyType: 'var_combination' }) === '',
        variables.length > 0 && isSound,
        key,
      );
    }),
    { seed: 74, numRuns: 2000 },
  );
});

test('limit-count: rules whose keys or fields could never work', () => {
  const rule = { key: '$remote_addr', count: '2', timeWindow: '2' };
  const of = (...rules: NonNullable<LimitCount['rules']>): string =>
    route({ plugins: { limitCount: { rules } } }).replaceAll('plugins.limit_count.', '');
  assert.equal(
    of({ ...rule, key: 'remote_addr' }),
    "rules[0].key: 'remote_addr' has no variable in it: did you mean '$remote_addr'?",
  );
  assert.equal(of({ ...rule, key: '${http_}' }), "rules[0].key: 'http_': a name must stand behind http_");
  const second = { ...rule, key: '$uri' };
  assert.equal(
    of({ ...rule, headerPrefix: 'Burst' }, { ...second, headerPrefix: 'burst' }),
    "rules[1].header_prefix: 'burst' is the prefix of rules[0] already",
  );
  assert.equal(
    of({ ...rule, headerPrefix: '2' }, second),
    "rules[1].header_prefix: '2' is the prefix of rules[0] already",
  );
  assert.equal(of({ ...rule, headerPrefix: '2' }, { ...second, headerPrefix: '1' }), '');
  assert.match(of({ ...rule, headerPrefix: 'x'.repeat(65) }), /^rules\[0\]\.header_prefix: .*at most 64 characters$/);
});

test('plugin_metadata/limit-count: names that would break answers, and equal ones', () => {
  const of = (limitCount: object): string =>
    problems('PluginConfig', { metadata: { limitCount } }, 'plugin_metadata/limit-count').replaceAll(
      'metadata.limit_count.',
      '',
    );
  for (const name of [
    ...[
      'Content-Length',
      'transfer-encoding',
      'Connection',
      'te',
      'Upgrade',
      'keep-alive',
      'Proxy-Connection',
      'trailer',
    ],
    ...['content-type', 'grpc-status', 'Set-Cookie', 'Date', 'WWW-Authenticate', 'location', 'X-Outrigger-Reason'],
    ...['x-request-id', 'proxy-authenticate', 'Sec-WebSocket-Accept', 'Content-Encoding', 'Grpc-Message'],
  ]) {
    for (const field of ['limitHeader', 'remainingHeader', 'resetHeader']) {
      assert.match(
        of({ [field]: name }),
        /^(limit|remaining|reset)_header: .* means something else in an answer/,
        name,
      );
    }
  }
  for (const name of ['X-Quota', 'RateLimit-Limit', 'x.limit']) assert.equal(of({ limitHeader: name }), '');
  assert.match(of({ limitHeader: 'x'.repeat(257) }), /at most 256 characters$/);
  assert.equal(
    of({ limitHeader: 'X-A', resetHeader: 'x-a' }),
    "reset_header: 'x-a' is the name of limit_header already",
  );
  assert.equal(
    of({ limitHeader: 'x-ratelimit-reset' }),
    "limit_header: 'X-RateLimit-Reset' is the name of reset_header already",
  );
});

test('key-auth: fields that no key can come in', () => {
  for (const header of [
    ...['Host', 'connection', 'te', 'Upgrade', 'keep-alive', 'proxy-connection', 'Transfer-Encoding'],
    ...['content-length', 'http2-settings', 'expect'],
  ]) {
    assert.equal(
      route({ plugins: { keyAuth: { header } } }),
      `plugins.key_auth.header: '${header}' can't carry a key: it speaks of the connection or the message`,
    );
  }
  for (const header of ['authorization', 'cookie', 'x-host'])
    assert.equal(route({ plugins: { keyAuth: { header } } }), '');
});

test('APISIX row 113: count 0, -100 or missing, time_window 0', () => {
  for (const count of ['0', '-100']) assert.equal(limit({ count }), `count: must be ${QUANTITY}, not '${count}'`);
  assert.equal(limit({ timeWindow: '0' }), `time_window: must be ${QUANTITY}, not '0'`);
  assert.equal(
    route({ plugins: { limitCount: { timeWindow: '1' } } }),
    `plugins.limit_count.count: required: ${QUANTITY}`,
  );
});

test('APISIX row 114: an empty rejected_msg is refused', () => {
  assert.equal(limit({ rejectedMsg: 'no more' }), '');
  assert.equal(limit({ rejectedMsg: '' }), 'rejected_msg: must not be empty: leave it out for a page of our own');
});

test('APISIX row 125: counters elsewhere are refused by name', () => {
  for (const policy of ['redis', 'redis-cluster', 'redis-sentinel']) {
    assert.equal(limit({ policy }), `policy: '${policy}' is not supported yet`);
  }
  assert.equal(limit({ policy: 'local' }), '');
  assert.equal(limit({ policy: 'locl' }), "policy: 'locl' is none of local: did you mean 'local'?");
});

test('Consumer: keys, and never a word of them', () => {
  const consumer = (partial: DeepPartial<Messages['Consumer']>): string => {
    const told = problems('Consumer', partial, 'jack');
    assert.doesNotMatch(told, /CANARY/);
    return told;
  };
  const key = 'CANARY-1';
  assert.equal(consumer({}), '');
  assert.equal(
    consumer({
      labels: { custom_id: '7' },
      plugins: { keyAuth: { key }, limitCount: { count: '1', timeWindow: '1' } },
      credentials: [{ id: 'one', desc: 'd', keyAuth: { key: 'CANARY-2' } }],
    }),
    '',
  );
  assert.equal(consumer({ plugins: { keyAuth: {} } }), 'plugins.key_auth.key: required: the key, not empty');
  assert.equal(consumer({ credentials: [{ id: 'a' }] }), 'credentials[0].key_auth: required: its key');
  const keyAuth = { key };
  assert.equal(
    consumer({ plugins: { keyAuth }, credentials: [{ id: 'a', keyAuth }] }),
    'credentials[0].key_auth.key: is the same as plugins.key_auth.key',
  );
  assert.equal(
    consumer({
      credentials: [
        { id: 'a', keyAuth },
        { id: 'a', keyAuth: { key: 'CANARY-2' } },
        { id: 'a/b', keyAuth: { key: 'CANARY-3' } },
      ],
    }),
    "credentials[1].id: 'a' is the id of credentials[0] already; " +
      "credentials[2].id: 'a/b' is no id: letters, digits, -, _ and . are allowed",
  );
  for (const [text, found] of [
    ['$env://CANARY', '$env://'],
    ['$ENV://CANARY', '$ENV://'],
    ['$secret://vault/CANARY', '$secret://'],
  ] as const) {
    assert.equal(
      consumer({ plugins: { keyAuth: { key: text } } }),
      `plugins.key_auth.key: '${found}' is not supported yet: give the key itself`,
    );
  }
  assert.equal(
    consumer({ plugins: { limitCount: { count: '0', timeWindow: '1' } } }),
    `plugins.limit_count.count: must be ${QUANTITY}, not '0'`,
  );
  assert.equal(
    consumer({ labels: { custom_id: 'a\u0001' } }),
    'labels["custom_id"]: is sent in a field: it must have no control characters',
  );
});
