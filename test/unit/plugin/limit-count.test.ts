import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LimitRule, PluginSpec } from '../../../src/model/gateway.ts';
import { runPlugins } from '../../../src/plugin/plugins.ts';
import { keyAuth } from '../../support/route-spec.ts';
import { consumer, limitCount, limitRule, pluginRequest, PluginScene, requests } from './scene.ts';

const PASS2 = [200, 200, 503, 503];

describe('limit-count', () => {
  test('APISIX row 111: two requests pass in a window, by whatever key', () => {
    for (const key of ['remote_addr', 'server_addr', 'service_id', 'route_id', 'consumer_name', 'no_such_variable']) {
      const scene = new PluginScene();
      const plugins = [limitCount([limitRule(2, 60, { key })])];
      assert.deepEqual(scene.statuses(plugins, requests(4, {}, { serviceId: '5' })), PASS2, key);
      scene.clock.advance(60_000);
      assert.equal(scene.run(plugins).status, 200);
    }
  });

  test('callers are counted apart, and refused ones are told so', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(1, 60)])];
    assert.equal(scene.run(plugins).status, 200);
    const refused = scene.run(plugins);
    assert.deepEqual(refused.answer, { kind: 'rate_limited', status: 503, fields: [], body: undefined, detail: '' });
    assert.equal(scene.run(plugins, pluginRequest({}, { remoteAddress: '10.0.0.10' })).status, 200);
  });

  test('APISIX row 114: rejected_code and rejected_msg', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(1, 60)], { rejectedCode: 429, rejectedMsg: 'Zu viel "davon"' })];
    assert.equal(scene.run(plugins).status, 200);
    const { status, answer } = scene.run(plugins);
    assert.equal(status, 429);
    assert.equal(answer?.body, '{"error_msg":"Zu viel \\"davon\\""}');
    assert.equal(answer?.detail, 'Zu viel "davon"');
  });

  test('APISIX row 116: a combination of variables', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(2, 60, { keyType: 'var_combination', key: '$http_a $http_b' })])];
    assert.deepEqual(scene.statuses(plugins, requests(4, { fields: ['a', '1'] })), PASS2);
    assert.equal(scene.run(plugins, pluginRequest({ fields: ['a', '1'] })).status, 503);
    assert.equal(scene.run(plugins, pluginRequest({ fields: ['a', '2'] })).status, 200);
    assert.deepEqual(scene.statuses(plugins, requests(3)), [200, 200, 503]);
  });

  test("a key that is another caller's address doesn't use up what is that one's", () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(1, 60, { key: 'http_x' })])];
    assert.equal(scene.run(plugins, pluginRequest({ fields: ['x', '10.0.0.9'] })).status, 200);
    assert.equal(scene.run(plugins, pluginRequest({}, { remoteAddress: '10.0.0.9' })).status, 200);
    assert.equal(scene.run(plugins, pluginRequest({ fields: ['x', ''] })).status, 200);
  });

  test('APISIX row 117: a group is shared by all that name it, whatever its key type', () => {
    for (const rule of [limitRule(2, 60), limitRule(2, 60, { keyType: 'constant', key: 'remote_addr' })]) {
      const scene = new PluginScene();
      const one = [limitCount([rule], { group: 'g' }, 'routes/1')];
      const two = [limitCount([{ ...rule }], { group: 'g' }, 'routes/2')];
      const statuses = [one, two, one, two].map((plugins) => scene.run(plugins).status);
      assert.deepEqual(statuses, PASS2);
      assert.equal(scene.run([limitCount([rule], { group: 'h' })]).status, 200);
      assert.equal(scene.run([limitCount([rule], {}, 'g')]).status, 200);
    }
  });

  test('APISIX row 117: a constant key counts all callers together', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(2, 60, { keyType: 'constant', key: 'all' })])];
    const statuses = [1, 2, 3, 4].map(
      (n) => scene.run(plugins, pluginRequest({}, { remoteAddress: `10.0.0.${n}` })).status,
    );
    assert.deepEqual(statuses, PASS2);
  });

  test('without a group each place has counters of its own', () => {
    const scene = new PluginScene();
    const rule = limitRule(1, 60);
    assert.equal(scene.run([limitCount([rule], {}, 'routes/1')]).status, 200);
    assert.equal(scene.run([limitCount([rule], {}, 'routes/2')]).status, 200);
    assert.equal(scene.run([limitCount([rule], {}, 'routes/1')]).status, 503);
  });

  test('APISIX row 119: quota fields on allowed and on refused answers', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(2, 60)])];
    const seen = [0, 1500.5, 58_499].map((ms) => {
      scene.clock.advance(ms);
      const { status, fields } = scene.run(plugins);
      return [
        status,
        fields.get('x-ratelimit-limit'),
        fields.get('x-ratelimit-remaining'),
        fields.get('x-ratelimit-reset'),
      ];
    });
    assert.deepEqual(seen, [
      [200, '2', '1', '60'],
      [200, '2', '0', '58.5'],
      [503, '2', '0', '0.01'],
    ]);
  });

  test('reset is a number of at most two decimals that never grows within a window', () => {
    const scene = new PluginScene();
    scene.clock.nowMs = 123_456.789;
    const plugins = [limitCount([limitRule(5, 7)])];
    let last = Infinity;
    for (let i = 0; i < 200; i++) {
      const reset = scene.run(plugins).fields.get('x-ratelimit-reset') ?? '';
      assert.match(reset, /^\d+(\.\d{1,2})?$/);
      assert.ok(Number(reset) > 0 && Number(reset) <= 7 && Number(reset) <= last, reset);
      last = Number(reset);
      scene.clock.advance(33.337);
    }
  });

  test('APISIX row 120: the metadata names the fields', () => {
    const scene = new PluginScene();
    scene.quotaFields = { limit: 'X-Quota', remaining: 'X-Left', reset: 'X-Until' };
    const { request } = scene.run([limitCount([limitRule(10, 60)])]);
    assert.deepEqual(request.answerFields, ['X-Quota', '10', 'X-Left', '9', 'X-Until', '60']);
  });

  test('no quota fields where they are not wanted', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(1, 60)], { showsQuota: false })];
    assert.equal(scene.run(plugins).fields.size, 0);
    const refused = scene.run(plugins);
    assert.deepEqual([refused.status, refused.fields.size], [503, 0]);
  });

  test('APISIX row 122: several rules', () => {
    const scene = new PluginScene();
    const plugins = [rules([ruleOf(2, 2, '$remote_addr'), ruleOf(3, 5, '${remote_addr}.')])];
    const first = scene.run(plugins);
    assert.equal(first.status, 200);
    assert.deepEqual(first.request.answerFields, [
      'X-1-RateLimit-Limit',
      '2',
      'X-1-RateLimit-Remaining',
      '1',
      'X-1-RateLimit-Reset',
      '2',
      'X-2-RateLimit-Limit',
      '3',
      'X-2-RateLimit-Remaining',
      '2',
      'X-2-RateLimit-Reset',
      '5',
    ]);
    assert.deepEqual(scene.statuses(plugins, requests(2)), [200, 503]);
    scene.clock.advance(2000);
    assert.deepEqual(scene.statuses(plugins, requests(2)), [200, 503]);
  });

  test('APISIX row 122: a rule that refuses ends it; names come from header_prefix', () => {
    const scene = new PluginScene();
    const plugins = [rules([ruleOf(1, 9, '$remote_addr', 'Burst'), ruleOf(9, 9, '$remote_addr ', 'Long')])];
    assert.equal(scene.run(plugins).fields.get('x-long-ratelimit-remaining'), '8');
    const refused = scene.run(plugins);
    assert.equal(refused.status, 503);
    assert.deepEqual(
      [...refused.fields.keys()],
      ['x-burst-ratelimit-limit', 'x-burst-ratelimit-remaining', 'x-burst-ratelimit-reset'],
    );
    scene.clock.advance(8999);
    scene.run(plugins);
    scene.clock.advance(1);
    assert.equal(scene.run(plugins).fields.get('x-long-ratelimit-remaining'), '8');
  });

  test('APISIX row 122: rules without a value are passed over; none left is 500', () => {
    const scene = new PluginScene();
    const limits = [ruleOf(1, 60, '$http_user'), ruleOf(2, 60, '$http_project')];
    const plugins = [rules(limits)];
    const project = scene.run(plugins, pluginRequest({ fields: ['project', 'a'] }));
    assert.equal(project.status, 200);
    assert.deepEqual([...project.fields.keys()][0], 'x-2-ratelimit-limit');
    const none = scene.run(plugins);
    assert.deepEqual([none.status, none.answer?.kind, none.fields.size], [500, 'limit_failure', 0]);
    assert.equal(scene.run([rules(limits, true)]).status, 200);
  });

  test('a rule that can’t be counted fails before anything is counted, and tells nothing of it', () => {
    const scene = new PluginScene();
    const plugins = [rules([ruleOf(1, 60, '$remote_addr'), ruleOf('$http_quota', 60, '${remote_addr}.')])];
    const { status, answer } = scene.run(plugins, pluginRequest({ fields: ['quota', 'much'] }));
    assert.equal(status, 500);
    assert.deepEqual([answer?.body, answer?.detail], ['{"error_msg":"failed to limit count"}', '']);
    assert.equal(scene.counters.size, 0);
    assert.equal(scene.run(plugins, pluginRequest({ fields: ['quota', '5'] })).status, 200);
  });

  test('where degradation is allowed, a rule that can’t be counted doesn’t take the others along', () => {
    for (const limits of [
      [ruleOf('$http_quota', 60, '${remote_addr}.'), ruleOf(1, 60, '$remote_addr')],
      [ruleOf(1, 60, '$remote_addr'), ruleOf(9, '$http_quota', '${remote_addr}.')],
    ]) {
      const scene = new PluginScene();
      const call = () => scene.run([rules(limits, true)], pluginRequest({ fields: ['quota', 'none'] })).status;
      assert.deepEqual([call(), call()], [200, 503]);
      assert.equal(scene.counters.size, 1);
    }
  });

  test('the window that one caller of a shared key asks for is not that of the others', () => {
    for (const windowType of ['fixed', 'sliding'] as const) {
      const scene = new PluginScene();
      const rule = limitRule(2, '${http_w ?? 60}', { keyType: 'constant', key: 'all' });
      const plugins = [limitCount([rule], { windowType })];
      const call = (...fields: string[]) => scene.run(plugins, pluginRequest({ fields }));
      for (let i = 0; i < 5; i++) call('w', '9007199254740991');
      const { status, fields } = call();
      assert.deepEqual([status, fields.get('x-ratelimit-remaining')], [200, '1'], windowType);
      assert.deepEqual([call().status, call().status], [200, 503]);
      scene.clock.advance(120_000);
      assert.deepEqual([call().status, call('w', '9007199254740991').status], [200, 503]);
    }
  });

  test('no limits: a consumer for whom the plugin is switched off is not limited', () => {
    const rose = consumer('rose', 'r', { plugins: [limitCount([], {}, 'consumers/rose')] });
    const scene = new PluginScene([rose, consumer('jack', 'j')]);
    const plugins = [keyAuth(), limitCount([limitRule(1, 60, { keyType: 'constant', key: 'all' })])];
    const [ofRose, ofJack] = [{ fields: ['apikey', 'r'] }, { fields: ['apikey', 'j'] }];
    assert.deepEqual(scene.statuses(plugins, requests(3, ofRose)), [200, 200, 200]);
    assert.equal(scene.run(plugins, pluginRequest(ofRose)).fields.size, 0);
    assert.deepEqual(scene.statuses(plugins, requests(2, ofJack)), [200, 503]);
  });

  test('a limit that is nowhere in force refuses instead of counting at will', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(1, 60)])];
    scene.run(plugins);
    scene.apply({});
    const { consumers, counters, quotaFields, clock } = scene;
    const context = { consumers, consumersAreKnown: true, counters, quotaFields, clock };
    assert.equal(runPlugins({ plugins }, pluginRequest(), context)?.kind, 'limit_failure');
  });

  test('count and time_window as templates', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule('${http_quota ?? 2}', '$http_window', { key: 'http_user' })])];
    const run = (user: string, quota?: string, window = '60') =>
      scene.run(
        plugins,
        pluginRequest({ fields: ['user', user, 'window', window, ...(quota === undefined ? [] : ['quota', quota])] }),
      );
    assert.equal(run('a', '1').fields.get('x-ratelimit-limit'), '1');
    assert.equal(run('a', '1').status, 503);
    // The limit is that of the request, the count that of the key.
    assert.deepEqual([run('a', '10').fields.get('x-ratelimit-remaining'), run('a').status], ['7', 503]);
    assert.equal(run('b', undefined, '5').fields.get('x-ratelimit-reset'), '5');
    assert.equal(run('c', '9007199254740991').fields.get('x-ratelimit-remaining'), '9007199254740990');
  });

  test('numbers that are none are 500, or pass where degradation is allowed; nothing is counted', () => {
    for (const quota of [
      '0',
      '-1',
      '1.5',
      '1e3',
      '0x10',
      'abc',
      '',
      ' 5',
      '9007199254740992',
      '1'.repeat(400),
      'Infinity',
    ]) {
      for (const [count, windowS] of [
        ['$http_quota', '60'],
        ['2', '$http_quota'],
      ] as const) {
        const scene = new PluginScene();
        const request = () => pluginRequest({ fields: ['quota', quota] });
        const limits = [limitRule(count, windowS)];
        const { status, answer } = scene.run([limitCount(limits)], request());
        assert.equal(status, 500, quota);
        assert.equal(answer?.kind, 'limit_failure');
        const passed = scene.run([limitCount(limits, { allowsDegradation: true })], request());
        assert.deepEqual([passed.status, passed.fields.size, scene.counters.size], [200, 0, 0]);
      }
    }
    assert.equal(new PluginScene().run([limitCount([limitRule('$http_quota', 60)])]).status, 500);
  });

  test('APISIX row 123: a sliding window', () => {
    const scene = new PluginScene();
    // FakeClock's wall clock begins at 1,700,000,000,000 + its own: at the beginning of a window of 5 s.
    scene.clock.nowMs = 5000;
    const plugins = [limitCount([limitRule(2, 5)], { windowType: 'sliding' })];
    const first = scene.run(plugins);
    assert.deepEqual([first.fields.get('x-ratelimit-remaining'), first.fields.get('x-ratelimit-reset')], ['1', '5']);
    assert.deepEqual(scene.statuses(plugins, requests(2)), [200, 503]);
    scene.clock.advance(5000);
    const tooEarly = scene.run(plugins);
    assert.deepEqual([tooEarly.status, tooEarly.fields.get('x-ratelimit-remaining')], [503, '0']);
    scene.clock.advance(1000);
    assert.equal(scene.run(plugins).status, 200);
  });

  test('edits that leave the limit alone leave the counters alone', () => {
    const scene = new PluginScene();
    const limit = limitRule(2, 60);
    assert.equal(scene.run([limitCount([limit])]).status, 200);
    const edits: PluginSpec[] = [
      limitCount([{ ...limit }]),
      limitCount([limit], { rejectedCode: 429, rejectedMsg: 'no' }),
      limitCount([{ ...limit, headerPrefix: 'Mine' }], { showsQuota: false, allowsDegradation: true }),
      limitCount([ruleOf(9, 9, '$remote_addr'), limit], { areRules: true }),
    ];
    assert.deepEqual(
      edits.map((edit) => scene.run([edit]).status),
      [200, 429, 503, 503],
    );
    const others = [
      limitCount([limitRule(3, 60)]),
      limitCount([limitRule(2, 61)]),
      limitCount([limit], { windowType: 'sliding' }),
      limitCount([{ ...limit, key: 'server_addr' }]),
      limitCount([{ ...limit, keyType: 'constant' }]),
    ];
    assert.deepEqual(
      others.map((edit) => scene.run([edit]).status),
      [200, 200, 200, 200, 200],
    );
  });

  test('plugins of a consumer take the place of those of the route, and counters don’t mix', () => {
    const jack = consumer('jack', 'j', { plugins: [limitCount([limitRule(1, 60)], {}, 'consumers/jack')] });
    const rose = consumer('rose', 'r');
    const scene = new PluginScene([jack, rose]);
    const plugins = [keyAuth(), limitCount([limitRule(2, 60)])];
    assert.deepEqual(scene.statuses(plugins, requests(2, { fields: ['apikey', 'j'] })), [200, 503]);
    assert.deepEqual(scene.statuses(plugins, requests(3, { fields: ['apikey', 'r'] })), [200, 200, 503]);
    assert.equal(scene.run(plugins).status, 401);
  });

  test('by consumer_name each consumer has what the route gives', () => {
    const scene = new PluginScene([consumer('jack', 'j'), consumer('rose', 'r')]);
    const plugins = [keyAuth(), limitCount([limitRule(1, 60, { key: 'consumer_name' })])];
    assert.deepEqual(scene.statuses(plugins, requests(2, { fields: ['apikey', 'j'] })), [200, 503]);
    assert.deepEqual(scene.statuses(plugins, requests(2, { fields: ['apikey', 'r'] })), [200, 503]);
  });

  test('names that objects have of themselves are keys like others', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(1, 60, { key: 'http_k' })])];
    for (const key of ['__proto__', 'constructor', 'hasOwnProperty', 'toString']) {
      assert.deepEqual(scene.statuses(plugins, requests(2, { fields: ['k', key] })), [200, 503], key);
    }
  });

  test('keys that run into each other stay apart', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(1, '${http_w ?? 60}', { key: 'http_k' })], { windowType: 'sliding' })];
    const keys = ['', '=', '#', '@10.0.0.9', '=@10.0.0.9', 'a'.repeat(64), 'a'.repeat(65), 'a'.repeat(66)];
    for (const k of keys) assert.equal(scene.run(plugins, pluginRequest({ fields: ['k', k] })).status, 200, k);
    for (const k of keys) assert.equal(scene.run(plugins, pluginRequest({ fields: ['k', k] })).status, 503, k);
    assert.equal(scene.counters.size, keys.length);
  });

  test('10,000 requests that come in between each other are counted exactly', () => {
    const scene = new PluginScene();
    const routes = [
      [limitCount([limitRule(700, 60, { key: 'http_user' })], { group: 'all' }, 'routes/1')],
      [limitCount([limitRule(700, 60, { key: 'http_user' })], { group: 'all' }, 'routes/2')],
    ];
    const passed = new Map<string, number>();
    for (let i = 0; i < 10_000; i++) {
      const user = `user-${(i * 7) % 10}`;
      if (scene.run(routes[i % 2]!, pluginRequest({ fields: ['user', user] })).status !== 200) continue;
      passed.set(user, (passed.get(user) ?? 0) + 1);
    }
    assert.deepEqual(
      [...passed.values()],
      Array.from({ length: 10 }, () => 700),
    );
  });
});

function ruleOf(count: number | string, windowS: number | string, key: string, headerPrefix?: string): LimitRule {
  return limitRule(count, windowS, { keyType: 'var_combination', key, headerPrefix });
}

function rules(limits: LimitRule[], allowsDegradation = false): PluginSpec {
  return limitCount(limits, { areRules: true, allowsDegradation });
}
