// Sizes of heads, and of what comes before them.
import { data, request } from '../../support/h2-peer.ts';
import { amountRow, type LimitRow } from '../../support/limit-rows.ts';
import {
  block,
  call1,
  call2,
  inScene,
  manyFields,
  manyLines,
  padLines,
  padList,
  says1,
  says2,
} from '../../support/limit-scene.ts';

const LINE = 'GET / HTTP/1.1\r\nHost: a\r\n';
const GRPC = ['content-type', 'application/grpc', 'te', 'trailers'];
const STATUS = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n';
const CALL = request('/a/B', GRPC, 'POST');
const GRPC_OK = [':status', '200', 'content-type', 'application/grpc', 'grpc-status', '0'];

const heads1 = (bytes: string) => inScene({}, (scene) => call1(scene, bytes));
const heads2 = (fields: string[]) => inScene({}, (scene) => call2(scene, block(1, fields)));
const answers1 = (bytes: string) => inScene({ script: says1(bytes) }, (scene) => call1(scene, `${LINE}\r\n`));
const answers2 = (fields: string[]) =>
  inScene({ script: says2((id) => block(id, fields)) }, (scene) => call1(scene, `${LINE}\r\n`));
const callsGrpc = (called: string[]) =>
  inScene({ script: says2((id) => block(id, GRPC_OK)) }, async (scene) => {
    await call2(scene, block(1, CALL)); // the upstream's SETTINGS are known after it
    return call2(scene, block(1, called));
  });
const answersGrpc = (fields: string[]) =>
  inScene({ script: says2((id) => block(id, fields)) }, (scene) => call2(scene, block(1, CALL)));

const TOO_LARGE = ['200', '200', '431 (headers_too_large)'] as const;
const GRPC_EXHAUSTED = ['grpc 0', 'grpc 0', 'grpc 8 (headers_too_large)'] as const;
const BAD_GATEWAY = ['200', '200', '502 (upstream_headers_too_large)'] as const;
const informational = (count: number): string => 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(count);

export const rows: readonly LimitRow[] = [
  amountRow('requestHeadBytes', 'an HTTP/1 request', TOO_LARGE, (bytes) => heads1(padLines(LINE, bytes))),
  amountRow('requestHeadBytes', 'an HTTP/2 request', TOO_LARGE, (bytes) => heads2(padList(request(), bytes))),
  amountRow('requestHeadBytes', 'a gRPC call', GRPC_EXHAUSTED, (bytes) => callsGrpc(padList(CALL, bytes))),
  amountRow('headFields', 'an HTTP/1 request', TOO_LARGE, (count) => heads1(`${LINE}${manyLines(count - 1)}\r\n`)),
  amountRow('headFields', 'an HTTP/2 request', TOO_LARGE, (count) => heads2(request('/', manyFields(count)))),
  amountRow('headFields', 'an HTTP/2 request of cookie crumbs', TOO_LARGE, (count) =>
    heads2(request('/', Array.from({ length: count }, () => ['cookie', 'a=b']).flat())),
  ),
  amountRow('headFields', 'a gRPC call', GRPC_EXHAUSTED, (count) => callsGrpc([...CALL, ...manyFields(count - 2)])),
  amountRow('requestLineBytes', 'an HTTP/1 request', ['200', '200', '414 (uri_too_long)'], (bytes) =>
    heads1(`GET /${'p'.repeat(bytes - 'GET / HTTP/1.1'.length)} HTTP/1.1\r\nHost: a\r\n\r\n`),
  ),
  amountRow('requestLineBytes', 'the path of an HTTP/2 request', ['200', '200', '414 (uri_too_long)'], (bytes) =>
    heads2(request(`/${'p'.repeat(bytes - 1)}`)),
  ),
  amountRow('responseHeadBytes', 'an HTTP/1 answer', BAD_GATEWAY, (bytes) => answers1(padLines(STATUS, bytes))),
  amountRow('responseHeadBytes', 'an HTTP/2 answer', BAD_GATEWAY, (bytes) =>
    answers2(padList([':status', '200'], bytes)),
  ),
  amountRow('headFields', 'an HTTP/1 answer', BAD_GATEWAY, (count) => answers1(`${STATUS}${manyLines(count - 1)}\r\n`)),
  amountRow('headFields', 'an HTTP/2 answer', BAD_GATEWAY, (count) =>
    answers2([':status', '200', ...manyFields(count)]),
  ),
  amountRow(
    'headFields',
    'an HTTP/2 answer to a gRPC caller',
    ['grpc 0', 'grpc 0', 'grpc 8 (upstream_headers_too_large)'],
    (count) => answersGrpc([...GRPC_OK, ...manyFields(count - 2)]),
  ),
  amountRow('informationalHeads', 'an HTTP/1 answer', ['200', '200', '502 (upstream_protocol_error)'], (count) =>
    answers1(`${informational(count)}${STATUS}\r\n`),
  ),
  amountRow('informationalHeads', 'an HTTP/2 answer', ['200', '200', '502 (upstream_protocol_error)'], (count) =>
    inScene(
      {
        script: says2((id) =>
          Buffer.concat([
            ...Array.from({ length: count }, () => block(id, [':status', '103'], false)),
            block(id, [':status', '200'], false),
            data(id, 'ok', true),
          ]),
        ),
      },
      (scene) => call1(scene, `${LINE}\r\n`),
    ),
  ),
];
