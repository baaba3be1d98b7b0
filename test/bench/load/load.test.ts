import assert from 'node:assert/strict';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { after, describe, it } from 'node:test';
import { answerRequests } from '../backends/h2-answerer.ts';
import { Children } from '../child.ts';
import { scenarioNamed } from '../scenario.ts';
import type { Workbench } from '../workbench.ts';
import { parseH2loadResult, parseH2loadTime } from './h2load.ts';
import { runPaced } from './paced.ts';
import { parseWrkResult } from './wrk.ts';

describe('load tools', () => {
  it('reads the line of the wrk script', () => {
    assert.deepEqual(parseWrkResult('x\nRESULT 100 2000000 0 0 0 0 0\n'), { answered: 100, seconds: 2, trouble: '' });
    assert.deepEqual(parseWrkResult('RESULT 100 2000000 0 3 0 40 0'), {
      answered: 60,
      seconds: 2,
      trouble: '3 × read, 40 × status',
    });
    assert.throws(() => parseWrkResult('unable to connect'), /no result/);
  });

  it("reads h2load's summary", () => {
    const summary = (failed: number, wrong: number): string =>
      `finished in 1.00s, 9.00 req/s\nrequests: 90 total, 99 started, 90 done, 90 succeeded, ${failed} failed, 0 errored, 0 timeout\n` +
      `status codes: 90 2xx, 0 3xx, ${wrong} 4xx, 0 5xx\n`;
    assert.deepEqual(parseH2loadResult(summary(0, 0), 1), { answered: 90, seconds: 1, trouble: '' });
    assert.equal(parseH2loadResult(summary(2, 1), 1).trouble, '2 × failed, 1 × other status');
    assert.throws(() => parseH2loadResult('', 1), /no summary/);
  });

  it('reads how long h2load took', () => {
    assert.equal(parseH2loadTime('x\nfinished in 870.50ms, 1 req/s\n'), 0.8705);
    assert.equal(parseH2loadTime('finished in 2.25s, 1 req/s'), 2.25);
    assert.throws(() => parseH2loadTime(''), /no time/);
  });
});

describe('load at a fixed rate', () => {
  const certificate = { certificate: '', key: '', both: '', authorityPem: '' };
  const children = new Children({ proxy: 0, others: 0, pinned: false });
  const bench: Workbench = { children, folder: '', node: process.execPath, certificate };
  const closers: (() => void)[] = [];
  after(() => {
    for (const close of closers) close();
  });

  async function listening(server: Server): Promise<number> {
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  it('sends what is due over HTTP/1.1', async () => {
    let requests = 0;
    const port = await listening(
      createServer((socket) => {
        socket
          .on('error', () => undefined)
          .on('data', (bytes) => {
            requests += bytes.toString('latin1').split('GET ').length - 1;
            socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
          });
      }),
    );
    const { answered, measured, p50Us, p99Us } = await runPaced(bench, scenarioNamed('latency-h1'), port, 0.3, 1_000);
    assert.equal(answered, requests);
    assert.ok(answered >= 590 && answered <= 600, `${answered}`);
    assert.ok(measured >= 250 && measured <= 310, `${measured}`);
    assert.ok(p50Us > 0 && p99Us >= p50Us);
  });

  it('counts the time that a request waits for a connection', async () => {
    const port = await listening(
      createServer((socket) => {
        const answer = (): void => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        socket.on('error', () => undefined).on('data', () => setTimeout(answer, 100));
      }),
    );
    // 64 connections make 640 requests a second, so at 800 the queue grows by 160.
    const { p50Us, trouble } = await runPaced(bench, scenarioNamed('latency-h1'), port, 0.3, 800);
    assert.equal(trouble, '');
    assert.ok(p50Us > 130_000, `${p50Us}`);
  });

  it('sends calls that another HTTP/2 understands', async () => {
    const scenario = scenarioNamed('latency-grpc');
    const seen = new Set<string>();
    let wrong = 0;
    const server = createHttp2Server().on('stream', (stream, headers) => {
      seen.add(`${headers[':method']} ${headers[':path']} ${headers['content-type']} ${String(headers['te'])}`);
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (!Buffer.concat(chunks).equals(scenario.requestBody ?? Buffer.alloc(0))) wrong++;
        stream.respond({ ':status': 200 });
        stream.end('ok');
      });
    });
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { measured } = await runPaced(bench, scenario, port, 0.3, 500);
    assert.ok(measured >= 120, `${measured}`);
    assert.deepEqual([...seen], ['POST /bench.v1.Echo/Unary application/grpc trailers']);
    assert.equal(wrong, 0);
  });

  it('rejects when a request fails', async () => {
    const port = await listening(
      createServer((socket) => socket.on('data', () => socket.end('HTTP/1.1 500 \r\n\r\n'))),
    );
    await assert.rejects(runPaced(bench, scenarioNamed('latency-h1'), port, 0.3, 100), /unexpected answer/);
  });

  it('goes through the own answerer', async () => {
    const scenario = scenarioNamed('latency-grpc');
    const body = scenario.responseBody ?? Buffer.alloc(0);
    const port = await listening(createServer((socket) => answerRequests(socket, body, true)));
    const { measured } = await runPaced(bench, scenario, port, 0.3, 500);
    assert.ok(measured >= 120, `${measured}`);
  });
});
