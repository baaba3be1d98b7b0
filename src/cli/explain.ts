// `outrigger explain`: asks the admin method Explain of a running sidecar, and prints the answer for people.
import { systemClock } from '../base/clock.ts';
import type { AdminServiceClient, ExplainRequest, ExplainResponse as Answer } from '../gen/outrigger/admin/v1/admin.ts';
import { CONNECT_RULES, parseHostPort } from '../config/host-port.ts';
import type { CommandContext } from './command.ts';
import { shownJson, shownText } from './shown-text.ts';
import { UsageError } from './usage.ts';

const DEFAULT_ADMIN = '127.0.0.1:15000';
/** Longest wait for the answer. */
const DEADLINE_MS = 5000;

/** Status 0 where the request would be sent, 1 where the sidecar would refuse it, 2 where that can't be told. */
export async function explainCommand(context: CommandContext): Promise<number> {
  const { flags } = context;
  if (context.positionals.length > 0) throw new UsageError('outrigger explain --port PORT [--method /a.B/C] [-H k=v]…');
  const text = (name: string): string => (typeof flags[name] === 'string' ? flags[name] : '');
  const port = Number(text('port'));
  if (!/^\d{1,5}$/.test(text('port')) || port < 1 || port > 65_535) {
    throw new UsageError('--port: the port of a listener, 1 to 65535, is needed');
  }
  const admin = /^\d+$/.test(text('admin')) ? `127.0.0.1:${text('admin')}` : text('admin') || DEFAULT_ADMIN;
  const address = parseHostPort(admin, CONNECT_RULES);
  if (!address.ok) throw new UsageError(`--admin: ${address.reason}`);
  const headers = flags['header'];
  const request: ExplainRequest = {
    port,
    authority: text('authority'),
    method: text('method'),
    path: text('path'),
    httpMethod: text('http-method'),
    headers: (Array.isArray(headers) ? headers : []).map((line) => headerLine(String(line))),
    remoteAddress: text('from'),
  };
  // Loaded here: neither is for commands that don't ask a sidecar.
  const { AdminServiceClient, ExplainResponse } = await import('../gen/outrigger/admin/v1/admin.ts');
  let answer: Answer;
  try {
    answer = await ask(admin, request, AdminServiceClient);
  } catch (cause) {
    context.err(`outrigger: ${shownText(cause instanceof Error ? cause.message : String(cause))}\n`);
    return 2;
  }
  const isJson = flags['json'] === true;
  context.out(isJson ? shownJson(ExplainResponse.toJSON(answer)) : inWords(answer));
  return answer.refused === '' ? 0 : 1;
}

/** `k=v`, or `k: v` as it stands in a request. */
function headerLine(text: string): string {
  const match = /^([^=:]+)(?:=|:[ \t]*)(.*)$/s.exec(text);
  if (!match) throw new UsageError(`-H: ${JSON.stringify(text)} must be NAME=VALUE`);
  return `${match[1]}: ${match[2]}`;
}

async function ask(address: string, request: ExplainRequest, Client: typeof AdminServiceClient): Promise<Answer> {
  const { credentials, Metadata } = await import('@grpc/grpc-js');
  const client = new Client(address, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => {
      client.explain(request, new Metadata(), { deadline: systemClock().wallMs() + DEADLINE_MS }, (error, response) => {
        if (error) reject(new Error(`${address}: ${error.details || error.message}`));
        else resolve(response);
      });
    });
  } finally {
    client.close();
  }
}

function inWords(answer: Answer): string {
  const lines = [`listener   ${answer.listener}`];
  for (const [i, line] of answer.route.entries()) lines.push(`${i === 0 ? 'route' : '     '}      ${line}`);
  const target = answer.upstream === '' ? 'none' : `${answer.upstream}, port ${answer.servicePort}`;
  lines.push(`upstream   ${target}`);
  if (answer.refused !== '') lines.push(`refused    ${answer.refused}: ${answer.refusedDetail}`);
  if (answer.hashKey !== '') lines.push(`hash key   ${answer.hashKey}`);
  if (answer.pick !== '') lines.push(`pick       ${answer.pick} (${answer.pickReason})`);
  if (answer.endpoints.length > 0) {
    const rows = answer.endpoints.map(({ endpoint, host, usable, reason, score }) => [
      usable ? 'in' : 'out',
      host === '' ? endpoint : `${endpoint} (${host})`,
      score,
      reason,
    ]);
    lines.push('', 'endpoints', ...table(rows));
    if (answer.endpointsLeftOut > 0) lines.push(`  and ${answer.endpointsLeftOut} more, left out`);
  }
  if (answer.onFailure.length > 0) lines.push('', 'on failure', ...answer.onFailure.map((line) => `  ${line}`));
  if (answer.policy.length > 0) lines.push('', 'policy', ...answer.policy.map((line) => `  ${line}`));
  if (answer.notes.length > 0) lines.push('', 'notes', ...answer.notes.map((line) => `  ${line}`));
  return `${lines.map(shownText).join('\n')}\n`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}
