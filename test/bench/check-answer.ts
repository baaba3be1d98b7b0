import { request as requestPlainly } from 'node:http';
import { connect } from 'node:http2';
import { request as requestSecurely } from 'node:https';
import { TLSSocket, type ConnectionOptions } from 'node:tls';
import type { Scenario } from './scenario.ts';
import type { Workbench } from './workbench.ts';

const TIMEOUT_MS = 5_000;
/** The longest body has 10. */
const MOST_MIB = 64;
/** As load tools have it; with small ones a long answer takes seconds. */
const WINDOW_BYTES = 32 * 1024 * 1024;

/**
 * Sends one request and compares the whole answer: a proxy that drops the body or the trailers must not win, nor one
 * that shows another certificate or speaks an older TLS. Rejects with what differs. Of an answer that is too large to
 * keep only the head is looked at; the load tool counts its bytes.
 */
export async function checkAnswer(bench: Workbench, scenario: Scenario, port: number): Promise<void> {
  const tls: ConnectionOptions = { ca: bench.certificate.authorityPem };
  const answer = await (scenario.downstream === 'h2' ? askHttp2(scenario, port, tls) : askHttp1(scenario, port, tls));
  if (scenario.tls && answer.tlsVersion !== 'TLSv1.3') throw new Error(`speaks ${answer.tlsVersion}, not TLSv1.3`);
  if (answer.status !== 200) throw new Error(`answered ${answer.status} instead of 200`);
  const { responseBody } = scenario;
  if (responseBody !== undefined && !answer.body.equals(responseBody)) {
    throw new Error(`answered ${answer.body.length} bytes that are not the backend's ${responseBody.length}`);
  }
  if (scenario.isGrpc && answer.grpcStatus !== '0') {
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

function askHttp1(scenario: Scenario, port: number, tls: ConnectionOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ask = scenario.tls ? requestSecurely : requestPlainly;
    const { path, requestBody, responseBody } = scenario;
    const method = requestBody === undefined ? 'GET' : 'POST';
    const headers = requestBody === undefined ? {} : { 'content-length': requestBody.length };
    const options = { ...tls, host: '127.0.0.1', port, method, path, headers, agent: false, timeout: TIMEOUT_MS };
    const request = ask(options, (answer) => {
      const version = tlsVersion(answer.socket);
      const chunks: Buffer[] = [];
      const finish = (): void =>
        resolve({
          status: answer.statusCode,
          body: Buffer.concat(chunks),
          grpcStatus: undefined,
          tlsVersion: version,
        });
      if (responseBody === undefined) {
        finish();
        request.destroy();
        return;
      }
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', finish);
    });
    request.on('timeout', () => request.destroy(new Error(`no answer after ${TIMEOUT_MS} ms`)));
    request.on('error', reject);
    request.end(requestBody);
  });
}

function askHttp2(scenario: Scenario, port: number, tls: ConnectionOptions): Promise<Answer> {
  const session = connect(`${scenario.tls ? 'https' : 'http'}://127.0.0.1:${port}`, {
    ...tls,
    maxSessionMemory: MOST_MIB,
    settings: { initialWindowSize: WINDOW_BYTES },
  });
  session.on('connect', () => session.setLocalWindowSize(WINDOW_BYTES));
  return new Promise<Answer>((resolve, reject) => {
    const { path, requestBody, responseBody, isGrpc } = scenario;
    session.on('error', reject);
    const stream = session.request({
      ':method': requestBody === undefined ? 'GET' : 'POST',
      ':path': path,
      ...(isGrpc ? { 'content-type': 'application/grpc', te: 'trailers' } : {}),
    });
    stream.setTimeout(TIMEOUT_MS, () => stream.destroy(new Error(`no answer after ${TIMEOUT_MS} ms`)));
    const chunks: Buffer[] = [];
    let status: number | undefined;
    let version = '';
    let grpcStatus: string | undefined;
    const finish = (): void => resolve({ status, body: Buffer.concat(chunks), grpcStatus, tlsVersion: version });
    stream.on('response', (headers) => {
      status = headers[':status'];
      version = tlsVersion(session.socket);
      if (responseBody === undefined) finish();
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('trailers', (trailers) => (grpcStatus = String(trailers['grpc-status'])));
    stream.on('error', reject);
    stream.on('close', finish);
    stream.end(requestBody);
  }).finally(() => session.destroy());
}
