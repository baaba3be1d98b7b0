import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Fields, ResponseHead, ResponseSender } from '../../../src/codec/exchange.ts';
import { ERROR_TABLE } from '../../../src/model/error-table.ts';
import { REASON_FIELD, sendReply } from '../../../src/proxy/reply.ts';
import { ERROR_KINDS } from '../../../src/telemetry/counters.ts';

interface Sent {
  readonly heads: { head: ResponseHead; endStream: boolean }[];
  body: string;
  ended: boolean;
}

function recorder(): { sender: ResponseSender; sent: Sent } {
  const sent: Sent = { heads: [], body: '', ended: false };
  const sender = {
    sendHead: (head: ResponseHead, endStream: boolean) => {
      sent.heads.push({ head, endStream });
      sent.ended ||= endStream;
    },
    sendData: (chunk: Uint8Array, endStream: boolean) => {
      assert.equal(sent.ended, false);
      sent.body += Buffer.from(chunk).toString();
      sent.ended = endStream;
    },
  } as unknown as ResponseSender;
  return { sender, sent };
}

function valueOf(fields: Fields, name: string): string | undefined {
  const at = fields.indexOf(name);
  return at < 0 ? undefined : fields[at + 1];
}

describe('sendReply', () => {
  it('every kind has an HTTP answer with its reason, text and length', () => {
    for (const kind of ERROR_KINDS) {
      const { sender, sent } = recorder();
      const { status, bodyBytes } = sendReply(sender, kind, 'näher', { isGrpc: false, isHead: false });
      assert.equal(status, ERROR_TABLE[kind].httpStatus);
      const [first] = sent.heads;
      assert.ok(first && sent.heads.length === 1 && sent.ended);
      assert.equal(first.head.status, status);
      assert.equal(sent.body, `${ERROR_TABLE[kind].text}: näher\n`);
      assert.equal(bodyBytes, Buffer.byteLength(sent.body));
      assert.equal(first.head.contentLength, Buffer.byteLength(sent.body));
      assert.equal(valueOf(first.head.fields, 'content-length'), String(Buffer.byteLength(sent.body)));
      assert.equal(valueOf(first.head.fields, REASON_FIELD), kind);
    }
  });

  it('without a detail the text stands alone', () => {
    const { sender, sent } = recorder();
    sendReply(sender, 'no_route', '', { isGrpc: false, isHead: false });
    assert.equal(sent.body, `${ERROR_TABLE.no_route.text}\n`);
  });

  it('HEAD gets the same head and no body', () => {
    const { sender, sent } = recorder();
    const reply = sendReply(sender, 'no_endpoints', 'x', { isGrpc: false, isHead: true });
    assert.deepEqual(reply, { status: 503, bodyBytes: 0 });
    assert.equal(sent.body, '');
    assert.equal(sent.heads[0]?.endStream, true);
    assert.ok(Number(valueOf(sent.heads[0]?.head.fields ?? [], 'content-length')) > 0);
  });

  it('a gRPC caller gets Trailers-Only with status 200, and a message of printable ASCII', () => {
    for (const kind of ERROR_KINDS) {
      const { sender, sent } = recorder();
      const reply = sendReply(sender, kind, '50 % nöt\n', { isGrpc: true, isHead: false });
      assert.deepEqual(reply, { status: 200, bodyBytes: 0 });
      const [only] = sent.heads;
      assert.ok(only?.endStream && sent.heads.length === 1 && sent.body === '');
      const { fields } = only.head;
      assert.equal(valueOf(fields, 'content-type'), 'application/grpc');
      assert.equal(valueOf(fields, 'grpc-status'), String(ERROR_TABLE[kind].grpcStatus));
      assert.equal(valueOf(fields, REASON_FIELD), kind);
      assert.equal(valueOf(fields, 'grpc-message'), `${ERROR_TABLE[kind].text}: 50 %25 n%C3%B6t%0A`);
    }
  });
});
