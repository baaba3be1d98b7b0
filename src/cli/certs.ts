import { lstatSync, statSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock, type Clock } from '../base/clock.ts';
import { secretBytes } from '../base/rng.ts';
import { SecretText } from '../base/secret-text.ts';
import { canonicalIp } from '../base/ip-address.ts';
import { allowedNameProblem } from '../identity/names.ts';
import type { CommandContext } from './command.ts';
import { authorityProblem, issueAuthority, issueCertificate, type Authority, type LeafOptions } from './issue.ts';
import { UsageError } from './usage.ts';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 90;
const MAX_DAYS = 3650;
/** Clocks of two machines differ. */
const BACKDATED_MS = 5 * 60_000;
const DEFAULT_SPIFFE_ID = 'spiffe://outrigger.test/ns/default/sa/default';
/** What a server on this machine is called by. */
const OWN_NAMES = { dns: ['localhost'], ips: ['127.0.0.1', '::1'] };
const CA_KEY_FILE = 'ca-key.pem';

interface Request {
  readonly dir: string;
  readonly days: number;
  readonly dns: readonly string[];
  readonly ips: readonly string[];
  readonly spiffeId: string;
  readonly force: boolean;
  readonly keepCaKey: boolean;
}

interface OutputFile {
  readonly name: string;
  readonly text: string;
  /** Only the owner may read it. */
  readonly secret: boolean;
}

/**
 * `outrigger certs DIR`: an authority for tests with a server, a client and a SPIFFE certificate. The authority's key is
 * thrown away unless it is asked for: whoever has it can be anybody to all who trust the authority.
 */
export async function certs(context: CommandContext, clock: Clock = systemClock()): Promise<number> {
  const request = readRequest(context);
  const { dir } = request;
  await makeDirectory(dir);
  const nowMs = clock.wallMs();
  const notBeforeMs = nowMs - BACKDATED_MS;
  const notAfterMs = nowMs + request.days * DAY_MS;
  const kept = request.force ? await readKeptAuthority(request, notAfterMs) : undefined;
  const authority =
    kept ??
    (await issueAuthority({
      commonName: 'Outrigger test authority',
      notBeforeMs,
      notAfterMs: request.keepCaKey ? nowMs + MAX_DAYS * DAY_MS : notAfterMs,
    }));
  const files: OutputFile[] = [];
  if (!kept) {
    files.push({ name: 'ca.pem', text: authority.certificatePem, secret: false });
    if (request.keepCaKey) files.push({ name: CA_KEY_FILE, text: authority.key.reveal(), secret: true });
  }
  for (const [name, options] of leaves(request)) {
    const { chainPem, key } = await issueCertificate(authority, { notBeforeMs, notAfterMs, ...options });
    files.push({ name: `${name}.pem`, text: chainPem, secret: false });
    files.push({ name: `${name}-key.pem`, text: key.reveal(), secret: true });
  }
  if (request.force) await replaceFiles(dir, files);
  else await createFiles(dir, files);
  const summary = { dir, written: files.map(({ name }) => name), notAfter: new Date(notAfterMs).toISOString() };
  context.out(JSON.stringify(summary) + '\n');
  return 0;
}

function leaves({ dns, ips, spiffeId }: Request): [string, Omit<LeafOptions, 'notBeforeMs' | 'notAfterMs'>][] {
  const names = { dns: distinct([...OWN_NAMES.dns, ...dns]), ips: distinct([...OWN_NAMES.ips, ...ips]) };
  return [
    // Both uses: a sidecar may show the same certificate to its callers and to its endpoints.
    ['server', { commonName: 'server', ...names, usage: ['server', 'client'] }],
    ['client', { commonName: 'client', dns: ['client.outrigger.test'], usage: ['client'] }],
    // Exactly one URI and no DNS name, so that only the SPIFFE ID can vouch for it.
    ['spiffe', { commonName: 'workload', uris: [spiffeId], usage: ['server', 'client'] }],
  ];
}

function readRequest({ flags, positionals }: CommandContext): Request {
  const [dir, extra] = positionals;
  if (dir === undefined || dir === '')
    throw new UsageError('outrigger certs DIR: the directory to write to is missing');
  if (extra !== undefined) throw new UsageError(`unexpected argument '${extra}'`);
  const spiffeId = flags['spiffe-id'];
  return {
    dir,
    days: readDays(texts(flags['days'])[0]),
    dns: texts(flags['dns']).map(readDnsName),
    ips: texts(flags['ip']).map(readAddress),
    spiffeId: typeof spiffeId === 'string' ? readSpiffeId(spiffeId) : DEFAULT_SPIFFE_ID,
    force: flags['force'] === true,
    keepCaKey: flags['keep-ca-key'] === true,
  };
}

function readDays(given: string | undefined): number {
  if (given === undefined) return DEFAULT_DAYS;
  const days = Number(given);
  if (/^\d{1,4}$/.test(given) && days >= 1 && days <= MAX_DAYS) return days;
  throw new UsageError(`--days ${given}: give a whole number from 1 to ${MAX_DAYS}`);
}

/** RFC 1034 section 3.5 with the underscore, lower case; `*` may stand for the first label (RFC 9525 section 6.3). */
function readDnsName(given: string): string {
  const name = given.toLowerCase();
  if (canonicalIp(name) !== undefined) throw new UsageError(`--dns ${given}: is an address; give --ip ${given}`);
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.');
  const valid = name.length <= 253 && labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label));
  if (valid && !/^\d+$/.test(labels.at(-1) ?? '')) return name;
  throw new UsageError(`--dns ${given}: is no DNS name; give one like web.example or *.web.example`);
}

function readAddress(given: string): string {
  const address = canonicalIp(given);
  if (address === undefined) throw new UsageError(`--ip ${given}: is no IP address; give one like 10.0.0.5 or fd00::5`);
  return address;
}

/** The SPIFFE ID of a workload, which has a path (SPIFFE X.509-SVID). */
function readSpiffeId(given: string): string {
  if (!/^spiffe:\/\/[^/]+\/./.test(given)) {
    throw new UsageError(`--spiffe-id ${given}: give one like ${DEFAULT_SPIFFE_ID}`);
  }
  const problem = allowedNameProblem({ type: 'uri', value: given });
  if (problem !== undefined) throw new UsageError(`--spiffe-id ${given}: ${problem}`);
  return given;
}

function texts(given: unknown): string[] {
  return (Array.isArray(given) ? given : [given]).filter((text): text is string => typeof text === 'string');
}

function distinct(names: readonly string[]): string[] {
  return [...new Set(names)];
}

/** The authority that an earlier run kept in the directory; undefined: a new one is made. */
async function readKeptAuthority(request: Request, notAfterMs: number): Promise<Authority | undefined> {
  const path = join(request.dir, CA_KEY_FILE);
  if (!exists(path)) return undefined;
  if (!request.keepCaKey) {
    throw new UsageError(`${path}: is there; give --keep-ca-key to issue from it, or delete it for a new authority`);
  }
  const certificatePath = join(request.dir, 'ca.pem');
  const key = new SecretText(await read(path));
  const certificatePem = await read(certificatePath);
  const problem = authorityProblem(certificatePem, key, notAfterMs);
  if (problem !== undefined) {
    throw new UsageError(`${certificatePath} with ${path}: ${problem}; delete ${path} for a new authority`);
  }
  return { certificatePem, intermediatesPem: '', key };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${path}: ${reason(cause)}`);
  }
}

/** Level by level: Node's recursive mkdir never returns where a file system, as /proc, makes no directories. */
async function makeDirectory(dir: string): Promise<void> {
  if (isDirectory(dir)) return;
  const parent = dirname(dir);
  if (parent !== dir) await makeDirectory(parent);
  try {
    await mkdir(dir);
  } catch (cause) {
    if (!isDirectory(dir)) throw new UsageError(`${dir}: can't be made a directory (${reason(cause)})`);
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Writes files of which none exists yet, or none. */
async function createFiles(dir: string, files: readonly OutputFile[]): Promise<void> {
  const taken = files.find(({ name }) => exists(join(dir, name)));
  if (taken) throw alreadyThere(join(dir, taken.name));
  const written: string[] = [];
  try {
    for (const file of files) {
      const path = join(dir, file.name);
      await create(path, file);
      written.push(path);
    }
  } catch (cause) {
    await removeAll(written);
    throw isTaken(cause) ? alreadyThere(cause.path) : cause;
  }
}

/** Writes all files beside those they replace before the first is replaced. A link is replaced, never followed. */
async function replaceFiles(dir: string, files: readonly OutputFile[]): Promise<void> {
  const blocked = files.map(({ name }) => join(dir, name)).find(isDirectory);
  if (blocked !== undefined) throw new UsageError(`${blocked}: is a directory; remove it, or give another directory`);
  const mark = secretBytes(6).toString('hex');
  const staged: { readonly from: string; readonly to: string }[] = [];
  try {
    for (const file of files) {
      const from = join(dir, `.${file.name}.${mark}`);
      staged.push({ from, to: join(dir, file.name) });
      await create(from, file);
    }
    for (const { from, to } of staged) await rename(from, to);
  } catch (cause) {
    await removeAll(staged.map(({ from }) => from));
    throw cause;
  }
}

/** O_EXCL: fails where there is anything of that name, a dangling link too. */
async function create(path: string, { text, secret }: OutputFile): Promise<void> {
  const file = await open(path, 'wx', secret ? 0o600 : 0o644);
  try {
    await file.writeFile(text);
  } catch (cause) {
    await rm(path, { force: true });
    throw cause;
  } finally {
    await file.close();
  }
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isTaken(cause: unknown): cause is Error & { readonly path: string } {
  return cause instanceof Error && 'code' in cause && cause.code === 'EEXIST' && 'path' in cause;
}

function alreadyThere(path: string): UsageError {
  return new UsageError(`${path}: is there already; give --force to replace it, or another directory`);
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
