// The parent's end of ledger-endpoint-program.ts.
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CallKind } from './ledger-endpoint.ts';
import type { Order, Report } from './ledger-endpoint-program.ts';

const PROGRAM = fileURLToPath(new URL('ledger-endpoint-program.js', import.meta.url));

/** Ports of an endpoint on loopback. */
export interface EndpointPorts {
  readonly id: number;
  readonly http: number;
  readonly grpc: number;
}

/** A process with endpoints. */
export class LedgerEndpointProcess {
  /** When it has ended: the signal that ended it, or null. */
  readonly ended: Promise<NodeJS.Signals | null>;
  private readonly child: ChildProcess;
  private readonly waiting = new Map<string, { done(report: Report): void; fail(error: Error): void }>();
  private ids = 0;

  /** `ledger`: path of the file that it adds to. `answerAfterMs`: from the execution of a call to its answer. */
  constructor(ledger: string, answerAfterMs: number) {
    this.child = fork(PROGRAM, [ledger, String(answerAfterMs)], { execArgv: [] });
    this.child.on('message', (report: Report) => {
      const key = `${report.done} ${report.id}`;
      this.waiting.get(key)?.done(report);
      this.waiting.delete(key);
    });
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => {
        for (const { fail } of this.waiting.values()) fail(new Error(`the endpoint ended: ${code ?? signal}`));
        resolve(signal);
      });
    });
  }

  /** Opens an endpoint. */
  async open(healthStatus = 200): Promise<EndpointPorts> {
    const id = ++this.ids;
    const report = await this.order({ order: 'open', id, healthStatus });
    if (report.done !== 'open') throw new Error('not opened');
    return { id, http: report.http, grpc: report.grpc };
  }

  /** See LedgerEndpoint. `holding`: only once it holds a call of each kind, which are answered as it leaves. */
  async drain(id: number, how: { readonly atOnce: boolean; readonly holding: boolean }): Promise<void> {
    await this.order({ order: 'drain', id, ...how });
  }

  /** See LedgerEndpoint; resolves when its connections are gone. */
  async leave(id: number, closesIdle: boolean): Promise<void> {
    await this.order({ order: 'leave', id, closesIdle });
  }

  /** It answers no more, and is killed by SIGKILL once it has executed one call of each kind without an answer. */
  async crash(id: number): Promise<NodeJS.Signals | null> {
    this.child.send({ order: 'crash', id } satisfies Order);
    return this.ended;
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  private order(order: Order): Promise<Report> {
    return new Promise((resolve, reject) => {
      this.waiting.set(`${order.order} ${order.id}`, { done: resolve, fail: reject });
      this.child.send(order);
    });
  }
}

/** How often each call was executed, by kind and id, from the text of ledgers. */
export function executions(text: string): Record<CallKind, ReadonlyMap<string, number>> {
  const counts = { GET: new Map<string, number>(), POST: new Map<string, number>(), gRPC: new Map<string, number>() };
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [kind, id = ''] = line.split(' ');
    const calls = counts[kind as CallKind];
    calls.set(id, (calls.get(id) ?? 0) + 1);
  }
  return counts;
}
