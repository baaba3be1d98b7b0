// What the admin method Explain takes for a request, and what it refuses to ask.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explain } from '../../../src/admin/explain.ts';
import type { ExplainQuery, SidecarView } from '../../../src/admin/views.ts';
import type { ExplainRequest } from '../../../src/gen/outrigger/admin/v1/admin.ts';

/** The query that the sidecar is asked. */
function queryOf(request: Partial<ExplainRequest>): ExplainQuery {
  let asked: ExplainQuery | undefined;
  const view = {
    explain: (query: ExplainQuery) => {
      asked = query;
      return {
        listener: 'outbound/80',
        route: [],
        port: undefined,
        hashKey: '',
        endpoints: [],
        endpointsLeftOut: 0,
        pick: '',
        pickReason: '',
        onFailure: [],
        refused: '',
        refusedDetail: '',
      };
    },
  } as unknown as SidecarView;
  explain(view, {
    port: 80,
    authority: '',
    method: '',
    path: '',
    httpMethod: '',
    headers: [],
    remoteAddress: '',
    ...request,
  });
  assert.ok(asked);
  return asked;
}

describe('the request that Explain is asked about', () => {
  it('host is the authority, in whatever case, and no field besides', () => {
    for (const line of ['Host: svc:81', 'host:svc:81', 'HOST: \tsvc:81 ']) {
      const { authority, fields } = queryOf({ headers: ['x-a: 1', line] });
      assert.equal(authority, 'svc:81');
      assert.deepEqual(fields, ['x-a', '1']);
    }
    assert.equal(queryOf({}).authority, 'localhost:80');
    assert.equal(queryOf({ authority: 'a', headers: ['host: a'] }).authority, 'a');
    assert.equal(queryOf({ headers: ['host:'] }).authority, '');
  });

  it('host and authority that differ are an error; a second host is passed on, to be refused', () => {
    assert.throws(() => queryOf({ authority: 'a', headers: ['host: b'] }), {
      message: 'headers[0]: host "b" differs from authority "a": give one of the two',
    });
    const { authority, fields } = queryOf({ headers: ['host: a', 'host: b'] });
    assert.deepEqual([authority, fields], ['a', ['host', 'b']]);
  });

  it('the address of the caller is an IP address, in the spelling of connections', () => {
    for (const [text, address] of [
      ['', '127.0.0.1'],
      ['10.0.0.1', '10.0.0.1'],
      ['2001:DB8:0:0::1', '2001:db8::1'],
      ['::ffff:1.2.3.4', '1.2.3.4'],
      ['::ffff:102:304', '1.2.3.4'],
      ['0:0:0:0:0:0:0:1', '::1'],
    ] as const) {
      assert.equal(queryOf({ remoteAddress: text }).remoteAddress, address, text);
    }
    for (const text of ['foo', '[::1]', '1.2.3.4:80', '1.2.3', '01.2.3.4', 'fe80::1%eth0', ' 1.2.3.4', 'localhost']) {
      assert.throws(() => queryOf({ remoteAddress: text }), {
        name: 'FieldError',
        message: `remote_address: ${JSON.stringify(text)} is no IP address: write 10.1.2.3 or 2001:db8::1, without a port and without brackets`,
      });
    }
  });

  it('values keep all but the blanks around them; a content-type of a gRPC call stands for the usual one', () => {
    assert.deepEqual(queryOf({ headers: ['X-A:  \u00a0b\u0001\t'] }).fields, ['x-a', '\u00a0b\u0001']);
    const method = '/a.B/C';
    assert.deepEqual(queryOf({ method }).fields, ['content-type', 'application/grpc']);
    const given = ['Content-Type: application/grpc+proto'];
    assert.deepEqual(queryOf({ method, headers: given }).fields, ['content-type', 'application/grpc+proto']);
    assert.throws(() => queryOf({ method, headers: ['content-type: text/plain'] }), /^FieldError: headers\[0\]: /);
    assert.throws(() => queryOf({ headers: [': x'] }), /^FieldError: headers\[0\]: /);
  });
});
