import { get } from 'node:http';
import { connect } from 'node:http2';
import type { Scenario } from './scenario.ts';

const TIMEOUT_MS = 5_000;

/**
 * Sends one request and compares the whole answer: a proxy that drops the body or the trailers must not win. Rejects
 * with what differs.
 */
export async function checkAnswer(scenario: Scenario, port: number): Promise<void> {
  const answer = await (scenario.protocol === 'grpc' ? call(scenario, port) : fetchOnce(scenario, port));
  if (answer.status !== 200) throw new Error(`answered ${answer.status} instead of 200`);
  if (!answer.body.equals(scenario.responseBody)) {
    throw new Error(`answered ${answer.body.length} bytes that are not the backend's ${scenario.responseBody.length}`);
  }
  if (scenario.protocol === 'grpc' && answer.grpcStatus !== '0') {
    throw new Error(`trailer grpc-status is ${answer.grpcStatus ?? 'missing'}, not 0`);
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly body: Buffer;
  readonly grpcStatus: string | undefined;
}

function fetchOnce(scenario: Scenario, port: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get(
      { host: '127.0.0.1', port, path: scenario.path, agent: false, timeout: TIMEOUT_MS },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode, body: Buffer.concat(chunks), grpcStatus: undefined }),
        );
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer after ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
  });
}

function call(scenario: Scenario, port: number): Promise<Answer> {
  const session = connect(`http://127.0.0.1:${port}`);
  return new Promise<Answer>((resolve, reject) => {
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': scenario.path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.setTimeout(TIMEOUT_MS, () => stream.destroy(new Error(`no answer after ${TIMEOUT_MS} ms`)));
    const chunks: Buffer[] = [];
    let status: number | undefined;
    let grpcStatus: string | undefined;
    stream.on('response', (headers) => (status = headers[':status']));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('trailers', (trailers) => (grpcStatus = String(trailers['grpc-status'])));
    stream.on('error', reject);
    stream.on('close', () => resolve({ status, body: Buffer.concat(chunks), grpcStatus }));
    stream.end(scenario.requestBody);
  }).finally(() => session.destroy());
}
