// A process with endpoints that keep one ledger: `node ledger-endpoint-program.js LEDGER ANSWER_AFTER_MS`, driven by
// messages of its parent (ledger-endpoint-process.ts).
import { openSync } from 'node:fs';
import { LedgerEndpoint } from './ledger-endpoint.ts';

/** What the parent asks for. `id` is the parent's. */
export type Order =
  | { readonly order: 'open'; readonly id: number; readonly healthStatus: number }
  | { readonly order: 'drain'; readonly id: number; readonly atOnce: boolean; readonly holding: boolean }
  | { readonly order: 'leave'; readonly id: number; readonly closesIdle: boolean }
  | { readonly order: 'crash'; readonly id: number };

/** That it was done. */
export type Report =
  | { readonly done: 'open'; readonly id: number; readonly http: number; readonly grpc: number }
  | { readonly done: 'drain' | 'leave'; readonly id: number };

const [path = '', answerAfterMs] = process.argv.slice(2);
const ledger = openSync(path, 'a');
const endpoints = new Map<number, LedgerEndpoint>();

process.on('message', (order: Order) => void obey(order));
process.on('disconnect', () => process.exit(0));
if (!process.connected) process.exit(0);

async function obey(order: Order): Promise<void> {
  const { id } = order;
  if (order.order === 'open') {
    const opened = new LedgerEndpoint(ledger, Number(answerAfterMs), order.healthStatus);
    endpoints.set(id, opened);
    return report({ done: 'open', id, ...(await opened.open()) });
  }
  const endpoint = endpoints.get(id);
  if (!endpoint) throw new Error(`no endpoint ${id}`);
  if (order.order === 'crash') {
    await endpoint.holdAll();
    process.kill(process.pid, 'SIGKILL');
  } else if (order.order === 'drain') {
    if (order.holding) await endpoint.holdAll();
    endpoint.drain(order.atOnce);
  } else await endpoint.leave(order.closesIdle);
  if (order.order !== 'crash') report({ done: order.order, id });
}

function report(message: Report): void {
  process.send?.(message);
}
