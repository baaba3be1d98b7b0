import { get as getPlain } from 'node:http';
import { connect } from 'node:http2';
import { get as getSecure } from 'node:https';
import { TLSSocket, type ConnectionOptions } from 'node:tls';
import type { Scenario } from './scenario.ts';
import type { Workbench } from './workbench.ts';

const TIMEOUT_MS = 5_000;

/**
 * Sends one request and compares the whole answer: a proxy that drops the body or the trailers must not win, nor one
 * that shows another certificate or speaks an older TLS. Rejects with what differs.
 */
export async function checkAnswer(bench: Workbench, scenario: Scenario, port: number): Promise<void> {
  const tls: ConnectionOptions = { ca: bench.certificate.authorityPem };
  const answer = await (scenario.protocol === 'grpc' ? call(scenario, port, tls) : fetchOnce(scenario, port, tls));
  if (scenario.tls && answer.tlsVersion !== 'TLSv1.3') throw new Error(`speaks ${answer.tlsVersion}, not TLSv1.3`);
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
  /** Empty without TLS. */
  readonly tlsVersion: string;
}

function tlsVersion(socket: unknown): string {
  return socket instanceof TLSSocket ? (socket.getProtocol() ?? '') : '';
}

function fetchOnce(scenario: Scenario, port: number, tls: ConnectionOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const get = scenario.tls ? getSecure : getPlain;
    const request = get(
      { ...tls, host: '127.0.0.1', port, path: scenario.path, agent: false, timeout: TIMEOUT_MS },
      (answer) => {
        const version = tlsVersion(answer.socket);
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode,
            body: Buffer.concat(chunks),
            grpcStatus: undefined,
            tlsVersion: version,
          }),
        );
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer after ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
  });
}

function call(scenario: Scenario, port: number, tls: ConnectionOptions): Promise<Answer> {
  const session = connect(`${scenario.tls ? 'https' : 'http'}://127.0.0.1:${port}`, tls);
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
    let version = '';
    let grpcStatus: string | undefined;
    stream.on('response', (headers) => {
      status = headers[':status'];
      version = tlsVersion(session.socket);
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('trailers', (trailers) => (grpcStatus = String(trailers['grpc-status'])));
    stream.on('error', reject);
    stream.on('close', () => resolve({ status, body: Buffer.concat(chunks), grpcStatus, tlsVersion: version }));
    stream.end(scenario.requestBody);
  }).finally(() => session.destroy());
}
