import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  data,
  describe,
  frame,
  headers,
  literals,
  request,
  reset,
  TYPE,
  valueOf,
  windowUpdate,
} from '../../support/h2-peer.ts';
import { open, reply, type Downstream } from './downstream-harness.ts';

const PROTOCOL_ERROR = 1;

test('a request and its answer, with trailers both ways', () => {
  const { peer, requests } = open();
  peer.send(
    headers(1, request('/a?b=c', ['te', 'trailers', 'cookie', 'a=b', 'x-one', '1', 'cookie', 'c=d'], 'POST'), false),
    data(1, 'hello'),
    headers(1, ['x-sum', '7']),
  );
  const seen = requests[0];
  assert.ok(seen);
  const { method, scheme, authority, path, protocol, version, fields, contentLength } = seen.head;
  assert.deepEqual([method, scheme, authority, path, protocol], ['POST', 'http', 'svc:80', '/a?b=c', '']);
  assert.deepEqual([version, contentLength], [20, -1]);
  assert.deepEqual(fields, ['te', 'trailers', 'cookie', 'a=b; c=d', 'x-one', '1']);
  assert.deepEqual(seen.events, ['head', 'data 5', 'trailers x-sum 7']);
  seen.sender.sendInformational(reply(103, ['link', '</s>']));
  seen.sender.sendHead(reply(200, ['Content-Type', 'application/grpc', 'Connection', 'close']), false);
  seen.sender.sendData(Buffer.from('world!'), false);
  seen.sender.sendTrailers(['grpc-status', '0']);
  const frames = peer.take();
  assert.deepEqual(frames.map(describe), ['HEADERS 1', 'HEADERS 1', 'DATA 1 6', 'HEADERS 1 END']);
  assert.deepEqual(frames[0]?.fields, [':status', '103', 'link', '</s>']);
  assert.deepEqual(frames[1]?.fields, [':status', '200', 'content-type', 'application/grpc']);
  assert.deepEqual(frames[3]?.fields, ['grpc-status', '0']);
});

test('an answer given within the handler, and a Trailers-Only answer in one frame', () => {
  const { peer, session } = open({}, (seen) => {
    if (seen.head.path === '/grpc') return seen.sender.sendHead(reply(200, ['grpc-status', '12']), true);
    seen.sender.sendHead(reply(200), false);
    seen.sender.sendData(Buffer.from('abc'), true);
  });
  peer.send(headers(1, request('/')), headers(3, request('/grpc')));
  assert.deepEqual(peer.takeWords(), ['HEADERS 1', 'DATA 1 3 END', 'HEADERS 3 END']);
  assert.equal(session.active, 0);
});

test('repeated blocks of indexes are separate requests that may be changed by who gets them', () => {
  const { peer, requests } = open();
  const first = literals(request('/x', ['x-a', '1']), 0x40);
  peer.send(frame(TYPE.HEADERS, 5, 1, first));
  const indexed = Buffer.from([0xc2, 0xc1, 0xc0, 0xbf, 0xbe]); // the five entries, oldest first
  for (const id of [3, 5, 7]) {
    peer.send(frame(TYPE.HEADERS, 5, id, indexed));
    const head = requests.at(-1)?.head;
    assert.deepEqual([head?.path, head?.fields], ['/x', ['x-a', '1']]);
    head?.fields.push('x-more', '2');
  }
  peer.send(headers(9, [':method', 'GET', ':scheme', 'http', ':authority', 'svc:80', ':path', '/y']));
  // The table moves: the same bytes now mean something else, and what was remembered must not be used.
  peer.send(frame(TYPE.HEADERS, 5, 11, Buffer.concat([indexed.subarray(0, 4), literals(['x-a', '9'], 0x40)])));
  peer.send(frame(TYPE.HEADERS, 5, 13, Buffer.from([0xc3, 0xc2, 0xc1, 0xc0, 0xbe])));
  assert.deepEqual(requests.at(-1)?.head.fields, ['x-a', '9']);
  assert.equal(requests.length, 7);
});

test('early answer: the rest of the request is not wanted', () => {
  const { peer, requests, session } = open({}, (seen) => seen.sender.sendHead(reply(403), true));
  peer.send(headers(1, request('/', [], 'POST'), false));
  assert.deepEqual(peer.takeWords(), ['HEADERS 1 END', 'RST_STREAM 1 0']);
  peer.send(data(1, 'late'), headers(1, ['x', 'y']), headers(3, request()));
  assert.deepEqual(peer.takeWords(), ['HEADERS 3 END']);
  assert.deepEqual(requests[0]?.events, ['head']);
  assert.equal(session.active, 0);
});

const GET = ':method GET|:scheme http|:authority a|:path /';
const MALFORMED: readonly (readonly [string, string])[] = [
  ['an upper-case name', `${GET}|X-Y 1`],
  ['a space in a name', `${GET}|x\u0001y 1`],
  ['a colon in a name', `${GET}|x:y 1`],
  ['an empty name', `${GET}|\u0000 1`],
  ['CR in a value', `${GET}|x a\rb`],
  ['NUL in a value', `${GET}|x a\u0000b`],
  ['DEL in a value', `${GET}|x a\u007fb`],
  ['connection', `${GET}|connection close`],
  ['transfer-encoding', `${GET}|transfer-encoding chunked`],
  ['upgrade', `${GET}|upgrade websocket`],
  ['te: gzip', `${GET}|te gzip`],
  ['an unknown pseudo-field', `${GET}|:x 1`],
  ['a pseudo-field of answers', `${GET}|:status 200`],
  ['a pseudo-field behind a field', ':method GET|:scheme http|:authority a|x 1|:path /'],
  ['no method', ':scheme http|:authority a|:path /'],
  ['an odd method', ':method G,T|:scheme http|:authority a|:path /'],
  ['no scheme', ':method GET|:authority a|:path /'],
  ['an odd scheme', ':method GET|:scheme ftp|:authority a|:path /'],
  ['no authority', ':method GET|:scheme http|:path /'],
  ['user information', ':method GET|:scheme http|:authority u@a|:path /'],
  ['a path without a slash', ':method GET|:scheme http|:authority a|:path pkg.Svc/M'],
  ['an absolute path', ':method GET|:scheme http|:authority a|:path http://a/'],
  ['a star for GET', ':method GET|:scheme http|:authority a|:path *'],
  ['a fragment', ':method GET|:scheme http|:authority a|:path /a#b'],
  ['two paths', `${GET}|:path /`],
  ['another host', `${GET}|host b`],
  ['two hosts', `${GET}|host a|host a`],
  ['two content-length', `${GET}|content-length 0|content-length 0`],
  ['an odd content-length', `${GET}|content-length +1`],
  ['content-length without a body', `${GET}|content-length 1`],
  [':protocol without CONNECT', `${GET}|:protocol websocket`],
  ['CONNECT with a path', ':method CONNECT|:authority a|:path /'],
];

for (const [what, text] of MALFORMED) {
  test(`a request with ${what} costs its stream only`, () => {
    const fields = text.split('|').flatMap((field) => {
      const space = field.indexOf(' ');
      const name = field.slice(0, space).replace('\u0001', ' ').replace('\u0000', '');
      return [name, field.slice(space + 1)];
    });
    const { peer, requests, refused } = open({}, (seen) => seen.sender.sendHead(reply(204), true));
    peer.send(headers(1, fields), headers(3, request()));
    assert.deepEqual(peer.takeWords(), [`RST_STREAM 1 ${PROTOCOL_ERROR}`, 'HEADERS 3 END']);
    assert.equal(requests.length, 1);
    assert.equal(refused[0]?.[0], 'bad_request');
  });
}

test('content-length is passed on in one form', () => {
  const { peer, requests } = open();
  peer.send(headers(1, request('/', ['content-length', '003'], 'POST'), false));
  assert.deepEqual([requests[0]?.head.fields, requests[0]?.head.contentLength], [['content-length', '3'], 3]);
});

for (const authority of ['a=b:=0', 'a:b', 'a:70000', '[::1', '[x]', 'a%zz', ':']) {
  test(`the authority ${authority} is malformed`, () => {
    const { peer, requests } = open();
    const fields = request();
    fields[5] = authority;
    peer.send(headers(1, fields));
    assert.deepEqual([peer.takeWords(), requests.length], [['RST_STREAM 1 1'], 0]);
  });
}

test('host alone names the authority, OPTIONS may ask for *', () => {
  const { peer, requests } = open();
  peer.send(headers(1, [':method', 'OPTIONS', ':scheme', 'https', ':path', '*', 'host', 'h:1']));
  const head = requests[0]?.head;
  assert.deepEqual([head?.authority, head?.path, head?.scheme, head?.fields], ['h:1', '*', 'http', []]);
});

function answered(downstream: Downstream, fields: string[], endStream = true): { words: string[]; fields: string[] } {
  downstream.peer.send(headers(1, fields, endStream));
  const frames = downstream.peer.take();
  return { words: frames.map(describe), fields: frames[0]?.fields ?? [] };
}

test('what the session answers itself', () => {
  const connect = answered(open(), [':method', 'CONNECT', ':authority', 'a:1'], false);
  assert.deepEqual(connect.words, ['HEADERS 1 END', 'RST_STREAM 1 0']);
  assert.deepEqual([connect.fields[1], valueOf(connect.fields, 'x-outrigger-reason')], ['405', 'method_not_allowed']);

  const extended = [':method', 'CONNECT', ':protocol', 'websocket', ':scheme', 'http', ':path', '/', ':authority', 'a'];
  assert.equal(answered(open(), extended).fields[1], '405');

  const large = answered(open(), request('/', ['x', 'y'.repeat(15_000), 'z', 'z'.repeat(1250)]));
  assert.deepEqual([large.fields[1], valueOf(large.fields, 'x-outrigger-reason')], ['431', 'headers_too_large']);

  const grpc = answered(
    open({ headFields: 2 }),
    request('/', ['content-type', 'application/grpc', 'a', 'b', 'c', 'd']),
  );
  assert.equal(grpc.fields[1], '200');
  assert.equal(valueOf(grpc.fields, 'grpc-status'), '8');

  const long = answered(open(), request(`/${'a'.repeat(9000)}`));
  assert.equal(long.fields[1], '414');
});

test('head fields at the limit and one above, each cookie crumb counted', () => {
  const crumbs = (count: number): string[] => Array.from({ length: count }, () => ['cookie', 'a=b']).flat();
  const at = open({ headFields: 5 });
  at.peer.send(headers(1, request('/', crumbs(5))));
  assert.equal(at.requests.length, 1);
  const above = open({ headFields: 5 });
  assert.equal(answered(above, request('/', crumbs(6))).fields[1], '431');
  assert.equal(above.requests.length, 0);
});

test('a head too large leaves the table in step', () => {
  const { peer, requests } = open({ requestHeadBytes: 1024 });
  const block = literals(request('/', ['x', 'y'.repeat(2000)]), 0x40);
  peer.send(frame(TYPE.HEADERS, 5, 1, block));
  peer.send(frame(TYPE.HEADERS, 5, 3, Buffer.from([0xc2, 0xc1, 0xc0, 0xbf])));
  assert.deepEqual([requests.length, requests[0]?.head.authority], [1, 'svc:80']);
});

for (const [what, frames] of [
  ['shorter', [data(1, 'abc', true)]],
  ['longer', [data(1, 'abcdef')]],
  ['shorter, ended by trailers', [data(1, 'abc'), headers(1, ['a', 'b'])]],
] as const) {
  test(`a body ${what} than content-length says never ends cleanly`, () => {
    const { peer, requests } = open();
    peer.send(headers(1, request('/', ['content-length', '5'], 'POST'), false), ...frames);
    assert.equal(requests[0]?.events.at(-1), 'abort bad_request');
    assert.ok(!requests[0]?.events.some((event) => event.endsWith(' end')));
    assert.deepEqual(peer.takeWords(), [`RST_STREAM 1 ${PROTOCOL_ERROR}`]);
  });
}

for (const [what, fields, endStream] of [
  ['without END_STREAM', ['a', 'b'], false],
  ['with a pseudo-field', [':path', '/'], true],
  ['with an upper-case name', ['A', 'b'], true],
  ['with content-length', ['content-length', '0'], true],
] as const) {
  test(`trailers ${what} cost the stream`, () => {
    const { peer, requests } = open();
    peer.send(headers(1, request('/', [], 'POST'), false), headers(1, fields, endStream));
    assert.deepEqual(requests[0]?.events, ['head', 'abort bad_request']);
    assert.deepEqual(peer.takeWords(), [`RST_STREAM 1 ${PROTOCOL_ERROR}`]);
  });
}

test('the reset code of the upstream is passed on, but never as NO_ERROR: a cut answer would look whole', () => {
  const { peer, requests } = open();
  peer.send(headers(1, request()), headers(3, request()));
  requests[0]?.sender.sendHead(reply(200), false);
  requests[0]?.sender.abort('upstream_reset', 11);
  requests[1]?.sender.sendHead(reply(200), false);
  requests[1]?.sender.abort('upstream_reset', 0);
  assert.deepEqual(peer.takeWords(), ['HEADERS 1', 'RST_STREAM 1 11', 'HEADERS 3', 'RST_STREAM 3 2']);
});

test('the caller resets; the handler aborts', () => {
  const { peer, requests, session } = open();
  peer.send(headers(1, request()), headers(3, request()), headers(5, request()));
  peer.send(reset(1, 8));
  assert.deepEqual(requests[0]?.events, ['head end', 'abort downstream_reset']);
  requests[0]?.sender.sendHead(reply(200), true);
  requests[1]?.sender.abort('upstream_reset');
  requests[1]?.sender.abort('upstream_reset');
  requests[2]?.sender.sendHead(reply(200), false);
  requests[2]?.sender.abort('read_timeout');
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 3 2', 'HEADERS 5', 'RST_STREAM 5 8']);
  assert.equal(session.active, 0);
  peer.send(windowUpdate(3, 1), reset(3, 8), windowUpdate(1, 1));
  assert.deepEqual(peer.takeWords(), []);
});

test('padding is cut off, and more padding than frame is an error of the connection', () => {
  const { peer, requests } = open();
  const padded = Buffer.concat([Buffer.from([3]), literals(request('/', [], 'POST')), Buffer.alloc(3)]);
  peer.send(frame(TYPE.HEADERS, 0x4 | 0x8, 1, padded));
  peer.send(frame(TYPE.DATA, 0x8 | 0x1, 1, Buffer.from([2, 0x61, 0x62, 0, 0])));
  assert.deepEqual([requests[0]?.body, requests[0]?.events.at(-1)], ['ab', 'data 2 end']);
  peer.send(headers(3, request('/', [], 'POST'), false), frame(TYPE.DATA, 0x8, 3, Buffer.from([4, 1, 1, 1])));
  assert.deepEqual(peer.takeWords(), ['GOAWAY 3 1']);
});

test('stream ids: even, lower, reused; and frames on idle streams', () => {
  for (const [frames, word] of [
    [[headers(2, request())], 'GOAWAY 0 1'],
    [[headers(5, request()), headers(3, request())], 'GOAWAY 5 1'],
    [[data(1, 'x')], 'GOAWAY 0 1'],
    [[reset(1, 8)], 'GOAWAY 0 1'],
    [[windowUpdate(1, 5)], 'GOAWAY 0 1'],
    [[headers(0, request())], 'GOAWAY 0 1'],
  ] as const) {
    const { peer, transport } = open();
    peer.send(...frames);
    assert.deepEqual(peer.takeWords(), [word]);
    assert.equal(transport.closedBy, 'linger');
  }
  const reused = open({}, (seen) => seen.sender.sendHead(reply(200), true));
  reused.peer.send(headers(1, request()), headers(1, request()));
  assert.deepEqual(reused.peer.takeWords(), ['HEADERS 1 END', 'GOAWAY 1 5']);
});

test('more streams than allowed are refused', () => {
  const { peer, requests } = open({ concurrentStreams: 2 });
  peer.send(headers(1, request()), headers(3, request()), headers(5, request()));
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 5 7']);
  requests[0]?.sender.sendHead(reply(200), true);
  peer.send(headers(7, request()));
  assert.equal(requests.length, 3);
});
