import assert from 'node:assert/strict';
import { test } from 'node:test';
import { healthcheckPage } from '../../../src/admin/healthcheck-json.ts';
import { endpointView, FakeSidecarView, portView, SINCE_WALL_MS } from '../../support/fake-sidecar-view.ts';

function read(view: FakeSidecarView, rest: string, html = false): { status: number; text: string } {
  const { status, body } = healthcheckPage(view, rest, html);
  return { status, text: [...body].join('') };
}

function checkedView(): FakeSidecarView {
  const view = new FakeSidecarView();
  const down = endpointView({
    address: '127.0.0.1',
    port: 1970,
    state: 'unhealthy',
    cause: 'active http: <status 503> (2 of 2)',
    attempts: 7,
    successes: 4,
    failures: 2,
    health: { success: 0, httpFailure: 2, tcpFailure: 1, timeoutFailure: 3 },
  });
  view.portList = [
    portView({ checks: { type: 'http', host: 'foo.com' } }, [down]),
    portView({ servicePort: 81, checks: { type: 'grpc', host: undefined } }, [endpointView()]),
    portView({ upstream: 'routes/1', checks: { type: 'tcp', host: undefined } }),
    portView({ servicePort: 82 }, [endpointView()]),
  ];
  return view;
}

const CART = {
  name: '/upstreams/shop/cart/80',
  type: 'http',
  nodes: [
    {
      ip: '127.0.0.1',
      port: 1970,
      hostname: 'foo.com',
      status: 'unhealthy',
      counter: { success: 0, http_failure: 2, tcp_failure: 1, timeout_failure: 3 },
      cause: 'active http: <status 503> (2 of 2)',
      since: '2023-11-14T22:13:20.000Z',
      attempts: 7,
      successes: 4,
      failures: 2,
    },
  ],
};

test('lists the ports that have checks', () => {
  const listed = JSON.parse(read(checkedView(), '').text);
  assert.deepEqual(
    listed.map((port: { name: string }) => port.name),
    ['/upstreams/shop/cart/80', '/upstreams/shop/cart/81', '/routes/1/80'],
  );
  assert.deepEqual(listed[0], CART);
  assert.equal(listed[1].nodes[0].hostname, '10.0.0.1');
  assert.deepEqual(listed[2].nodes, {});
  assert.deepEqual(read(new FakeSidecarView(), '/'), { status: 200, text: '{}' });
});

test('one by its id, or by its upstream where that has only one', () => {
  const view = checkedView();
  assert.deepEqual(JSON.parse(read(view, '/upstreams/shop/cart/80').text), CART);
  assert.deepEqual(JSON.parse(read(view, '/upstreams/shop%2Fcart%2F80').text), CART);
  assert.equal(JSON.parse(read(view, '/upstreams/routes/1').text).name, '/routes/1/80');
  const several = read(view, '/upstreams/shop/cart');
  assert.equal(several.status, 404);
  assert.match(JSON.parse(several.text).error_msg, /shop\/cart\/80, shop\/cart\/81/);
});

test('APISIX row 89: checks of an upstream inside a Service or Route are found under that', () => {
  const view = checkedView();
  view.portList.push(portView({ upstream: 'services/1', checks: { type: 'http', host: undefined } }, [endpointView()]));
  for (const [path, name] of [
    ['/services/1', '/services/1/80'],
    ['/services/1/80', '/services/1/80'],
    ['/routes/1', '/routes/1/80'],
  ] as const) {
    assert.equal(JSON.parse(read(view, path).text).name, name);
    assert.equal(read(view, name).status, 200); // the name leads back to it
  }
  assert.equal(read(view, '/services/1/81').status, 404);
  assert.equal(read(view, '/stream_routes/1').status, 404);
});

test('the namespace `default` may be left out, where nothing else has that id', () => {
  const view = new FakeSidecarView();
  const checks = { type: 'http', host: undefined } as const;
  view.portList = [portView({ upstream: 'default/web', checks }), portView({ upstream: 'default/1', checks })];
  const nameAt = (path: string): unknown => JSON.parse(read(view, path).text).name;
  assert.equal(nameAt('/upstreams/web'), '/upstreams/default/web/80');
  assert.equal(nameAt('/upstreams/web/80'), '/upstreams/default/web/80');
  assert.equal(nameAt('/upstreams/1'), '/upstreams/default/1/80');
  view.portList.push(portView({ upstream: '1', checks }));
  assert.equal(nameAt('/upstreams/1'), '/upstreams/1/80');
});

test('nodes of one address stay apart, also where all are probed at one port, and have their own names', () => {
  const view = new FakeSidecarView();
  const endpoints = [
    endpointView({ port: 1980 }),
    endpointView({ port: 1981, host: 'db.example', state: 'unhealthy' }),
  ];
  view.portList = [portView({ checks: { type: 'http', host: undefined } }, endpoints)];
  const { nodes } = JSON.parse(read(view, '/upstreams/shop/cart').text);
  assert.deepEqual(
    nodes.map((node: Record<string, unknown>) => [node['ip'], node['port'], node['hostname'], node['status']]),
    [
      ['10.0.0.1', 1980, '10.0.0.1', 'healthy'],
      ['10.0.0.1', 1981, 'db.example', 'unhealthy'],
    ],
  );
  assert.match(read(view, '', true).text, /<td>10\.0\.0\.1:1981<\/td><td>db\.example<\/td>/);
  view.portList = [portView({ checks: { type: 'http', host: 'foo.com' } }, endpoints)];
  assert.deepEqual(
    JSON.parse(read(view, '/upstreams/shop/cart').text).nodes.map(({ hostname }: { hostname: string }) => hostname),
    ['foo.com', 'foo.com'],
  );
});

test('one upstream as HTML', () => {
  const { status, text } = read(checkedView(), '/upstreams/shop/cart/80', true);
  assert.equal(status, 200);
  assert.equal(text.match(/<tr class/g)?.length, 1);
  assert.equal(read(checkedView(), '/upstreams/no/such', true).status, 404);
  assert.equal(read(checkedView(), '/nodes/1', true).status, 400);
});

test('unknown ids are 404, unknown kinds 400, with the reason', () => {
  const view = checkedView();
  for (const path of [
    '/upstreams/no/such/1',
    '/upstreams/shop/cart/82',
    '/routes/2',
    '/services/1',
    '/stream_routes/1',
  ]) {
    assert.equal(read(view, path).status, 404, path);
  }
  for (const path of ['/nodes/1', '/upstreams', '/upstreams/', '/upstreams/%ff', '/%75pstreams/x']) {
    const { status, text } = read(view, path);
    assert.equal(status, 400, path);
    assert.ok(JSON.parse(text).error_msg.length > 0);
  }
});

test('HTML marks what is not verified, and what is wrong with TLS', () => {
  const view = new FakeSidecarView();
  const peer = { alpn: 'h2', version: 'TLSv1.3', subject: 'CN=cart', notAfterMs: SINCE_WALL_MS };
  const tls = { verified: true, error: '', peer: undefined, clientNotAfterMs: undefined };
  view.portList = [
    portView({ checks: { type: 'https', host: undefined } }, [
      endpointView({ port: 1 }),
      endpointView({ port: 2, tls }),
      endpointView({ port: 3, tls: { ...tls, peer: { ...peer, alpn: '' } } }),
      endpointView({ port: 4, tls: { ...tls, verified: false, peer } }),
      endpointView({ port: 5, tls: { ...tls, error: '<Secret shop/ca is missing>' } }),
    ]),
  ];
  const rows = read(view, '', true).text.split('\n').slice(2, 7);
  const cells = rows.map((row) => /<td[^<]*<\/td>(?=<\/tr>)/.exec(row)?.[0]);
  assert.deepEqual(cells, [
    '<td></td>',
    '<td>verified</td>',
    '<td>verified, TLSv1.3, expires 2023-11-14T22:13:20.000Z</td>',
    '<td class="unsafe">not verified, TLSv1.3, h2, expires 2023-11-14T22:13:20.000Z</td>',
    '<td class="unsafe">verified, &#60;Secret shop/ca is missing&#62;</td>',
  ]);
  assert.equal(JSON.parse(read(view, '').text)[0].type, 'https');
});

test('HTML is escaped', () => {
  const { status, text } = read(checkedView(), '', true);
  assert.equal(status, 200);
  assert.ok(text.includes('active http: &#60;status 503&#62; (2 of 2)'));
  assert.equal(text.match(/<tr /g)?.length, 2);
});
