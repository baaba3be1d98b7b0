import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { echoCalls } from './grpc-echo.ts';

describe('the backend of long calls', () => {
  const server = createServer((socket) => echoCalls(socket));
  let origin = '';

  before(async () => {
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => void server.close());

  it('gives back every byte, and a status, of calls side by side with small windows', async () => {
    const session = connect(origin, { settings: { initialWindowSize: 20_000 } });
    const calls = [300_000, 1, 0].map(
      (bytes) =>
        new Promise<void>((resolve, reject) => {
          const body = Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 7) & 255));
          const stream = session.request({ ':method': 'POST', ':path': '/', te: 'trailers' });
          const chunks: Buffer[] = [];
          let status: unknown;
          stream.on('data', (chunk: Buffer) => chunks.push(chunk));
          stream.on('trailers', (trailers) => (status = trailers['grpc-status']));
          stream.on('error', reject);
          stream.on('close', () => {
            try {
              assert.ok(Buffer.concat(chunks).equals(body), `${Buffer.concat(chunks).length} of ${bytes} bytes`);
              assert.equal(status, '0');
              resolve();
            } catch (error) {
              reject(error);
            }
          });
          stream.end(body);
        }),
    );
    await Promise.all(calls).finally(() => session.destroy());
  });
});
