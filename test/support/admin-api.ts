// The control plane's Admin API, called as curl does.
import { type Agent, request } from 'node:http';

/** An answer. */
export interface AdminReply {
  readonly status: number;
  readonly text: string;
  /** Empty where the text is no JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface AdminCall {
  readonly port: number;
  readonly method: string;
  /** From `/apisix` on. */
  readonly path: string;
  /** `X-API-KEY`; undefined: none. */
  readonly key?: string | undefined;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly agent?: Agent;
}

/** The key of APISIX's documents. */
export const DOCUMENT_KEY = 'edd1c9f034335f136f87ad84b625c8f1';

/** Calls it; rejects where the connection breaks. */
export function callAdminApi({ port, method, path, key, body, headers, agent }: AdminCall): Promise<AdminReply> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        ...(agent === undefined ? {} : { agent }),
        headers: {
          ...(key === undefined ? {} : { 'X-API-KEY': key }),
          // What curl -d says, whatever the body is.
          ...(body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text, body: readObject(text), headers: response.headers }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function readObject(text: string): AdminReply['body'] {
  try {
    return JSON.parse(text) as AdminReply['body'];
  } catch {
    return {};
  }
}
