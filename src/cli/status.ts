// `outrigger status`: whether a sidecar is well, asked at its admin port; with --control which sidecars a control plane
// has, how far each is, and what it refused, asked at its ADS port.
import type { CallOptions, Client, Metadata, requestCallback, ServiceError, status } from '@grpc/grpc-js';
import { systemClock } from '../base/clock.ts';
import type { GetSnapshotResponse as SnapshotPage } from '../gen/outrigger/admin/v1/admin.ts';
import type { ListSidecarsResponse as SidecarsPage } from '../gen/outrigger/admin/v1/control_plane.ts';
import { parseHostPort } from '../config/host-port.ts';
import { TLS_FILE_FLAGS } from '../config/tls-files.ts';
import type { ControlCredentials } from '../control/channel-security.ts';
import { readControlTls } from './control-tls.ts';
import type { CommandContext } from './command.ts';
import { shownJson, shownText } from './shown-text.ts';
import { snapshotWords } from './snapshot-words.ts';
import { sidecarWords } from './sidecar-words.ts';
import { UsageError } from './usage.ts';
import type { StatusWords } from './status-words.ts';

const DEFAULT_ADMIN_PORT = 15_000;
/** Longest wait for each answer. */
const DEADLINE_MS = 5_000;
/** Items of an answer; what they hold ends a page earlier. */
const PAGE_SIZE = 10_000;

/** Status 0 where all is well, 1 where it isn't, 2 where that can't be told. */
export async function statusCommand(context: CommandContext): Promise<number> {
  const { flags, positionals } = context;
  if (positionals.length > 0) throw new UsageError(`unexpected argument '${positionals[0]}'`);
  const [control, admin] = [flags['control'], flags['admin']];
  if (control !== undefined && admin !== undefined) {
    throw new UsageError('--control and --admin: a control plane or a sidecar, not both');
  }
  const tlsFlag = Object.values(TLS_FILE_FLAGS.control).find((flag) => flags[flag] !== undefined);
  if (control === undefined && tlsFlag !== undefined) throw new UsageError(`--${tlsFlag} needs --control HOST:PORT`);
  const isJson = flags['json'] === true;
  try {
    const words =
      control === undefined
        ? await askSidecar(address('--admin', admin ?? String(DEFAULT_ADMIN_PORT)), isJson)
        : await askControlPlane(address('--control', control), readControlTls(flags, context.environment), isJson);
    context.out(words.text);
    return words.isWell ? 0 : 1;
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    context.err(`outrigger: ${shownText(cause instanceof Error ? cause.message : String(cause))}\n`);
    return 2;
  }
}

/** `[HOST:]PORT`, as every flag of an address has it. */
function address(flag: string, value: Flag): Address {
  const read = parseHostPort(typeof value === 'string' ? value : '', {
    defaultHost: '127.0.0.1',
    defaultPort: undefined,
    minPort: 1,
  });
  if (!read.ok) throw new UsageError(`${flag}: ${read.reason}`);
  const { host, port } = read;
  return { host, at: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}` };
}

interface Address {
  /** Without brackets. */
  readonly host: string;
  /** With the port. */
  readonly at: string;
}

type Flag = CommandContext['flags'][string];

async function askControlPlane(
  { host, at }: Address,
  tls: ControlCredentials | undefined,
  isJson: boolean,
): Promise<StatusWords> {
  // Loaded here: none of it is for commands that ask nobody.
  const { ControlPlaneClient, ListSidecarsResponse } = await import('../gen/outrigger/admin/v1/control_plane.ts');
  const { channelSecurity } = await import('../control/channel-security.ts');
  const { credentials, options } = channelSecurity(host, tls);
  const client = new ControlPlaneClient(at, credentials, options);
  const server = {
    at,
    what: 'the ADS port of a control plane',
    how: tls === undefined ? 'in plaintext (TLS: --control-ca FILE)' : 'over TLS',
  };
  const pages = await allPages<SidecarsPage>(client, server, (pageToken, ...how) =>
    client.listSidecars({ nodeIdPrefix: '', pageSize: PAGE_SIZE, pageToken }, ...how),
  );
  const answer = { sidecars: pages.flatMap(({ sidecars }) => sidecars), nextPageToken: '' };
  const words = sidecarWords(answer.sidecars);
  return isJson ? { ...words, text: shownJson(ListSidecarsResponse.toJSON(answer)) } : words;
}

async function askSidecar({ at }: Address, isJson: boolean): Promise<StatusWords> {
  const { AdminServiceClient, GetSnapshotResponse } = await import('../gen/outrigger/admin/v1/admin.ts');
  const { credentials } = await import('@grpc/grpc-js');
  const client = new AdminServiceClient(at, credentials.createInsecure());
  const request = { kind: '', namePrefix: '', excludeResources: true, pageSize: PAGE_SIZE };
  const server = { at, what: 'the admin port of a sidecar', how: 'in plaintext' };
  const pages = await allPages<SnapshotPage>(client, server, (pageToken, ...how) =>
    client.getSnapshot({ ...request, pageToken }, ...how),
  );
  const [first] = pages;
  if (first === undefined) throw new Error(`${at}: an empty answer`);
  const answer = { ...first, resources: pages.flatMap(({ resources }) => resources), nextPageToken: '' };
  const words = snapshotWords(answer);
  return isJson ? { ...words, text: shownJson(GetSnapshotResponse.toJSON(answer)) } : words;
}

/** Who is asked. */
interface Server {
  readonly at: string;
  /** What it should be, in words. */
  readonly what: string;
  /** Of the transport, in words. */
  readonly how: string;
}

interface Page {
  readonly nextPageToken: string;
}

/** Asks until there is no further page, and closes the client. Rejects with one line that says what to do. */
async function allPages<P extends Page>(
  client: Client,
  server: Server,
  ask: (pageToken: string, metadata: Metadata, options: CallOptions, done: requestCallback<P>) => void,
): Promise<P[]> {
  const grpc = await import('@grpc/grpc-js');
  const pages: P[] = [];
  try {
    do {
      const pageToken = pages.at(-1)?.nextPageToken ?? '';
      const page = await new Promise<P>((resolve, reject) => {
        const options = { deadline: systemClock().wallMs() + DEADLINE_MS };
        ask(pageToken, new grpc.Metadata(), options, (error, response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(new Error(`${server.at}: ${problem(error, server, grpc.status)}`));
        });
      });
      pages.push(page);
    } while (pages.at(-1)?.nextPageToken !== '');
  } finally {
    client.close();
  }
  return pages;
}

function problem(error: ServiceError | null, { what, how }: Server, codes: typeof status): string {
  if (error === null) return 'an empty answer';
  const details = error.details || error.message;
  if (error.code === codes.UNIMPLEMENTED) return `it is not ${what}, or one of another version: ${details}`;
  if (error.code === codes.UNAVAILABLE) return `can't reach ${what} there, ${how}: ${details}`;
  if (error.code === codes.DEADLINE_EXCEEDED)
    return `no answer from ${what} within ${DEADLINE_MS / 1000} s: ${details}`;
  return details;
}
