import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyAuth } from '../../support/route-spec.ts';
import { consumer, limitCount, limitRule, pluginRequest, PluginScene, requests } from './scene.ts';

const JACK = consumer('jack', 'jack-key', { credentials: { 'cred-1': 'second-key' }, customId: 'id-7' });

function outcome(policy: Parameters<typeof keyAuth>[0], head: Parameters<typeof pluginRequest>[0]) {
  return new PluginScene([JACK, consumer('zoë', 'clé-é', { customId: 'Zoë' })]).run(
    [keyAuth(policy)],
    pluginRequest(head),
  );
}

describe('key-auth', () => {
  test('APISIX row 126: a valid key passes', () => {
    const { status, request } = outcome({}, { fields: ['Accept', '*/*', 'apikey', 'jack-key'] });
    assert.equal(status, 200);
    assert.equal(request.consumer, 'jack');
    assert.equal(request.consumerSpec, JACK);
    assert.deepEqual(request.head.fields, [
      'Accept',
      '*/*',
      'apikey',
      'jack-key',
      'X-Consumer-Username',
      'jack',
      'X-Consumer-Custom-ID',
      'id-7',
    ]);
  });

  test('APISIX row 126: a wrong key and a missing one get 401, their bodies and WWW-Authenticate', () => {
    const wrong = outcome({}, { fields: ['apikey', 'nobody'] });
    assert.equal(wrong.status, 401);
    assert.equal(wrong.answer?.kind, 'unauthenticated');
    assert.equal(wrong.answer?.body, '{"message":"Invalid API key in request"}');
    assert.equal(wrong.fields.get('www-authenticate'), 'apikey realm="key"');
    assert.equal(wrong.request.consumer, undefined);
    const missing = outcome({ realm: 'my realm' }, { path: '/hello?other=1' });
    assert.equal(missing.status, 401);
    assert.equal(missing.answer?.body, '{"message":"Missing API key in request"}');
    assert.equal(missing.fields.get('www-authenticate'), 'apikey realm="my realm"');
  });

  test('the name of the field has no case, and the query counts only where the field is absent', () => {
    assert.equal(outcome({}, { fields: ['ApiKey', 'jack-key'] }).status, 200);
    assert.equal(outcome({}, { path: '/hello?apikey=jack-key' }).status, 200);
    assert.equal(outcome({}, { path: '/hello?apikey=jack-key', fields: ['apikey', 'nobody'] }).status, 401);
    assert.equal(outcome({}, { path: '/hello?apikey=jack-key', fields: ['apikey', ''] }).status, 401);
    assert.equal(outcome({ header: 'x-key' }, { fields: ['apikey', 'jack-key'] }).status, 401);
    assert.equal(outcome({ header: 'x-key' }, { fields: ['X-Key', 'jack-key'] }).status, 200);
  });

  test('what is unclear is no valid key', () => {
    const heads = [
      { fields: ['apikey', 'jack-key', 'apikey', 'jack-key'] },
      { fields: ['apikey', 'jack-key', 'APIKEY', 'other'] },
      { fields: ['apikey', 'jack-key, jack-key'] },
      { path: '/hello?apikey=jack-key&apikey=jack-key' },
      { path: '/hello?apikey=other&%61pikey=jack-key' },
      { path: '/hello?apikey' },
      { path: '/hello?apikey=' },
      { fields: ['apikey', 'jack-key '] },
      { fields: ['apikey', 'JACK-KEY'] },
    ];
    for (const head of heads) {
      const { status, answer } = outcome({}, head);
      assert.equal(status, 401, JSON.stringify(head));
      assert.equal(answer?.body, '{"message":"Invalid API key in request"}');
    }
  });

  test('keys are compared as bytes: fields and arguments are latin1, settings UTF-8', () => {
    const bytes = Buffer.from('clé-é').toString('latin1');
    assert.equal(outcome({}, { fields: ['apikey', bytes] }).request.consumer, 'zoë');
    assert.equal(outcome({}, { path: '/?apikey=cl%C3%A9-%c3%a9' }).request.consumer, 'zoë');
    assert.equal(outcome({}, { fields: ['apikey', 'clé-é'] }).status, 401);
    const { head } = outcome({}, { fields: ['apikey', bytes] }).request;
    assert.equal(head.fields.at(-1), Buffer.from('Zoë').toString('latin1'));
  });

  test('a custom id that would split the request is left out', () => {
    for (const customId of ['a\r\nX-Admin: 1', 'a\nb', 'a\0', ' a', 'a ', '\u007f']) {
      const scene = new PluginScene([consumer('eve', 'k', { customId })]);
      const { request } = scene.run([keyAuth()], pluginRequest({ fields: ['apikey', 'k'] }));
      assert.deepEqual(request.head.fields, ['apikey', 'k', 'X-Consumer-Username', 'eve'], JSON.stringify(customId));
    }
  });

  test("a caller's own identity never gets through, however it is spelled", () => {
    const fields = [
      'X-Consumer-Username',
      'admin',
      'x_consumer_username',
      'admin',
      'X-CONSUMER_Custom-id',
      'root',
      'x-credential-identifier',
      'c',
      'apikey',
      'second-key',
      'x-consumer-usernames',
      'kept',
    ];
    assert.deepEqual(outcome({}, { fields }).request.head.fields, [
      'apikey',
      'second-key',
      'x-consumer-usernames',
      'kept',
      'X-Consumer-Username',
      'jack',
      'X-Credential-Identifier',
      'cred-1',
      'X-Consumer-Custom-ID',
      'id-7',
    ]);
  });

  test('APISIX row 128: hide_credentials with the key in the header', () => {
    const { request } = outcome(
      { hidesCredentials: true },
      { path: '/hello?apikey=x&a=1', fields: ['a', '1', 'ApiKey', 'jack-key', 'b', '2'] },
    );
    assert.deepEqual(request.head.fields.slice(0, 4), ['a', '1', 'b', '2']);
    assert.ok(!request.head.fields.includes('jack-key'));
    assert.equal(request.head.path, '/hello?apikey=x&a=1');
  });

  test('APISIX row 128: hide_credentials with the key in the query, others kept', () => {
    const rows = [
      ['/hello?apikey=jack-key', '/hello'],
      ['/hello?apikey=jack-key&', '/hello'],
      ['/hello?name=a%20b+c&apikey=jack-key&x=1&&y', '/hello?name=a%20b+c&x=1&&y'],
      ['/hello?b=2&%61pike%79=jack%2dkey', '/hello?b=2'],
      ['/hello?apikey=jack-key&b=?&c=%zz', '/hello?b=?&c=%zz'],
    ];
    for (const [path = '', left] of rows) {
      const { request, status } = outcome({ hidesCredentials: true }, { path });
      assert.equal(status, 200, path);
      assert.equal(request.head.path, left);
    }
    assert.equal(outcome({}, { path: '/hello?apikey=jack-key' }).request.head.path, '/hello?apikey=jack-key');
  });

  test('APISIX row 128: what is hidden is hidden under the names that endpoints take for the same', () => {
    const fields = ['api-key', 'jack-key', 'API_KEY', 'jack-key'];
    const { request, status } = outcome({ header: 'api-key', hidesCredentials: true }, { fields });
    assert.equal(status, 200);
    assert.ok(!request.head.fields.includes('jack-key'));
  });

  test('APISIX row 129: a known consumer and the anonymous one have limits of their own', () => {
    const anonymous = consumer('anonymous', undefined, {
      plugins: [limitCount([limitRule(1, 60)], {}, 'consumers/anonymous')],
    });
    const jack = consumer('jack', 'jack-key', { plugins: [limitCount([limitRule(4, 60)], {}, 'consumers/jack')] });
    const scene = new PluginScene([jack, anonymous]);
    const plugins = [keyAuth({ anonymousConsumer: 'anonymous' })];
    assert.deepEqual(
      scene.statuses(plugins, requests(5, { fields: ['apikey', 'jack-key'] })),
      [200, 200, 200, 200, 503],
    );
    assert.deepEqual(scene.statuses(plugins, requests(4)), [200, 503, 503, 503]);
    const [wrong] = requests(1, { fields: ['apikey', 'nobody'] });
    assert.equal(scene.run(plugins, wrong).status, 503);
    assert.equal(wrong?.consumer, 'anonymous');
  });

  test('APISIX row 129: no such anonymous consumer', () => {
    const { status, answer, fields } = outcome({ anonymousConsumer: 'nobody' }, {});
    assert.equal(status, 401);
    assert.equal(answer?.body, '{"message":"Invalid user authorization"}');
    assert.equal(fields.get('www-authenticate'), 'apikey realm="key"');
  });

  test('APISIX row 129: an invalid key never reaches the endpoint when hiding', () => {
    const path = '/hello?a=1&apikey=wrong&apikey=w2';
    const fields = ['apikey', 'wrong', 'APIKEY', 'w2', 'X-Consumer-Username', 'admin', 'X-Credential-Identifier', 'x'];
    const hidden = outcome(
      { anonymousConsumer: 'jack', hidesCredentials: true },
      { path, fields: [...fields] },
    ).request;
    assert.equal(hidden.head.path, '/hello?a=1');
    assert.deepEqual(hidden.head.fields, ['X-Consumer-Username', 'jack', 'X-Consumer-Custom-ID', 'id-7']);
    const shown = outcome({ anonymousConsumer: 'jack' }, { path, fields: [...fields] }).request;
    assert.equal(shown.head.path, path);
    assert.deepEqual(shown.head.fields.slice(0, 4), ['apikey', 'wrong', 'APIKEY', 'w2']);
  });

  test('nothing of what the caller sent is in an answer', () => {
    const { answer } = outcome({}, { fields: ['apikey', 'my-secret'] });
    assert.ok(!JSON.stringify(answer).includes('my-secret'));
  });

  test('before the consumers are known no key is called wrong', () => {
    const scene = new PluginScene([JACK]);
    scene.consumersAreKnown = false;
    const status = (policy: Parameters<typeof keyAuth>[0], ...fields: string[]) => {
      const { status, answer } = scene.run([keyAuth(policy)], pluginRequest({ fields }));
      return `${status} ${answer?.kind ?? ''}`;
    };
    assert.equal(status({}, 'apikey', 'rose-key'), '503 not_configured');
    assert.equal(status({ anonymousConsumer: 'jack' }, 'apikey', 'rose-key'), '503 not_configured');
    assert.equal(status({ anonymousConsumer: 'guest' }), '503 not_configured');
    assert.equal(status({}), '401 unauthenticated');
    assert.equal(status({}, 'apikey', 'jack-key', 'apikey', 'jack-key'), '401 unauthenticated');
    assert.equal(status({}, 'apikey', 'jack-key'), '200 ');
    assert.equal(status({ anonymousConsumer: 'jack' }), '200 ');
    const { answer } = scene.run([keyAuth()], pluginRequest({ path: '/?apikey=rose-key' }));
    assert.deepEqual(answer, { kind: 'not_configured', status: 0, fields: [], body: undefined, detail: '' });
  });
});
