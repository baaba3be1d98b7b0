// A client of the control plane's Admin API.
import { request } from 'node:http';
import type { Agent } from 'node:http';

/** The key that control planes of this bench are started with. */
export const ADMIN_KEY = 'bench';

/** Writes an object, e.g. at `/routes/1`, and gives the answer's body. Rejects unless it was taken. */
export async function putObject(agent: Agent, port: number, path: string, body: object): Promise<string> {
  const { status, text } = await send(agent, port, 'PUT', `/apisix/admin${path}`, JSON.stringify(body));
  if (status !== 200 && status !== 201) throw new Error(`PUT ${path}: ${status} ${text}`);
  return text;
}

/** Writes many objects, some at a time. */
export async function putObjects(
  agent: Agent,
  port: number,
  objects: readonly (readonly [path: string, body: object])[],
): Promise<void> {
  const left = objects.values();
  await Promise.all(
    Array.from({ length: agent.maxSockets }, async () => {
      for (const [path, body] of left) await putObject(agent, port, path, body);
    }),
  );
}

/** The status of a request without a body. */
export async function getStatus(agent: Agent, port: number, path: string): Promise<number> {
  return (await send(agent, port, 'GET', path, undefined)).status;
}

function send(
  agent: Agent,
  port: number,
  method: string,
  path: string,
  body: string | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'x-api-key': ADMIN_KEY };
    const made = request({ host: '127.0.0.1', port, method, path, agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    made.on('error', reject);
    made.end(body);
  });
}
