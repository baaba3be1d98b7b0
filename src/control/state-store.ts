// The last good configuration on disk, for a start without a control plane. One file, written beside itself, synced and
// renamed, so that it is whole or the one before. A checksum finds what a disk did to it. Secrets are never in it, nor
// are Consumers with a key, nor the private keys that other resources hold.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Cancel, Clock } from '../base/clock.ts';
import { makeFolder } from '../base/folder.ts';
import type { Logger } from '../base/log.ts';
import { redact } from '../config/redact.ts';
import type { Kind } from '../config/resource.ts';
import { KINDS } from '../config/resource.ts';

/** Name of the file within the state directory. */
export const STATE_FILE = 'state.json';
const FORMAT = 'outrigger-state/1';
/** Changes within this time are one write, ms; more where there is much to write. */
const DEBOUNCE_MS = 200;
/** So many resources take a millisecond of that. */
const RESOURCES_PER_MS = 10;
/** So many resources are encoded in one turn: a large configuration must not hold up what is carried meanwhile. */
const RESOURCES_PER_TURN = 250;

/** A resource as it is kept. */
export interface SavedResource {
  readonly kind: Kind;
  readonly name: string;
  /** As shown. */
  readonly version: string;
  /**
   * The server's version, where this is exactly what the server has as that; else empty. What was saved without its
   * private key isn't, so none is claimed of it, and the server sends it anew.
   */
  readonly serverVersion: string;
  readonly bytes: Uint8Array;
}

/** A configuration. */
export interface SavedState {
  /** `host:port` of the control plane that it came from. */
  readonly server: string;
  readonly resources: readonly SavedResource[];
}

/** Keeps the last good configuration of one node. */
export interface StateStore {
  /** What was saved last; undefined if there is nothing usable (why is logged). */
  load(): SavedState | undefined;
  /** Saves what `state` gives a moment later; a failure is logged and loses nothing else. */
  save(state: () => SavedState): void;
  /** Resolves when everything is on disk. */
  flush(): Promise<void>;
}

/** What a state store works with. */
export interface StateStoreOptions {
  /** Made with mode 0700 if it isn't there. */
  readonly dir: string;
  /** A file of another node is ignored. */
  readonly nodeId: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface StateFile {
  readonly format: string;
  readonly checksum: string;
  readonly body: StateBody;
}

interface StateBody {
  readonly node_id: string;
  readonly server: string;
  readonly resources: readonly SavedBody[];
}

interface SavedBody {
  readonly kind: string;
  readonly name: string;
  readonly version: string;
  readonly server_version: string;
  readonly bytes: string;
}

/** A store in the file {@link STATE_FILE} of a directory. */
export function createStateStore(options: StateStoreOptions): StateStore {
  const { dir, nodeId, clock, logger } = options;
  const path = join(dir, STATE_FILE);
  let wanted: (() => SavedState) | undefined;
  let cancel: Cancel | undefined;
  let writing: Promise<void> = Promise.resolve();
  let resources = 0;

  const writeNow = (): void => {
    cancel?.();
    cancel = undefined;
    const state = wanted?.();
    wanted = undefined;
    if (state === undefined) return;
    resources = state.resources.length;
    writing = writing
      .then(() => encodeInTurns(nodeId, state))
      .then((pieces) => writeWhole(path, pieces))
      .catch((error: unknown) => {
        logger.log('error', { path, error: String(error) }, 'the configuration could not be saved');
      });
  };
  return {
    load() {
      let text: string;
      try {
        text = readFileSync(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          logger.log('warn', { path, error: String(error) }, 'the saved configuration could not be read');
        }
        return undefined;
      }
      const state = decodeState(nodeId, text);
      if (typeof state !== 'string') return state;
      logger.log('warn', { path, reason: state }, 'the saved configuration is ignored');
      return undefined;
    },
    save(state) {
      wanted = state;
      cancel ??= clock.after(Math.max(DEBOUNCE_MS, resources / RESOURCES_PER_MS), writeNow);
    },
    flush() {
      writeNow();
      return writing;
    },
  };
}

/** The file's text. */
export function encodeState(nodeId: string, state: SavedState): string {
  return withChecksum([...bodyPieces(nodeId, state)]).join('');
}

async function encodeInTurns(nodeId: string, state: SavedState): Promise<readonly string[]> {
  const pieces: string[] = [];
  for (const piece of bodyPieces(nodeId, state)) {
    pieces.push(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return withChecksum(pieces);
}

/** Together what `JSON.stringify` makes of the {@link StateBody}. */
function* bodyPieces(nodeId: string, { server, resources }: SavedState): Generator<string> {
  yield `{"node_id":${JSON.stringify(nodeId)},"server":${JSON.stringify(server)},"resources":[`;
  let comma = '';
  for (let from = 0; from < resources.length; from += RESOURCES_PER_TURN) {
    let piece = '';
    for (const resource of resources.slice(from, from + RESOURCES_PER_TURN)) {
      const encoded = encodeOne(resource);
      if (encoded === undefined) continue;
      piece += comma + JSON.stringify(encoded);
      comma = ',';
    }
    yield piece;
  }
  yield ']}';
}

function withChecksum(body: readonly string[]): string[] {
  const hash = createHash('sha256');
  for (const piece of body) hash.update(piece);
  return [`{"format":${JSON.stringify(FORMAT)},"checksum":"${hash.digest('hex')}","body":`, ...body, '}'];
}

/** Undefined: it stays out of the file. */
function encodeOne({ kind, name, version, serverVersion, bytes: whole }: SavedResource): SavedBody | undefined {
  if (kind === 'Secret') return undefined;
  const { bytes, redacted } = redact(kind, whole);
  // Without its keys a Consumer stands for nobody, and the mark in their place must not become a key.
  if (redacted && kind === 'Consumer') return undefined;
  return {
    kind,
    name,
    version,
    server_version: redacted ? '' : serverVersion,
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  };
}

/** What the text of a file holds, or why it can't be used. */
export function decodeState(nodeId: string, text: string): SavedState | string {
  let file: Partial<StateFile>;
  try {
    file = (JSON.parse(text) ?? {}) as Partial<StateFile>;
  } catch {
    return 'it is not JSON: cut short, or not ours';
  }
  if (file.format !== FORMAT) return `its format is ${JSON.stringify(file.format)}, not ${FORMAT}`;
  const { body, checksum } = file;
  if (body === undefined || checksum !== checksumOf(body)) return 'its checksum is wrong';
  // The checksum holds, so this is what encodeState wrote.
  if (body.node_id !== nodeId) return `it belongs to node ${JSON.stringify(body.node_id)}`;
  const resources: SavedResource[] = [];
  for (const { kind: word, name, version, server_version: serverVersion, bytes } of body.resources) {
    const kind = KINDS.find((known) => known === word);
    if (kind === undefined || kind === 'Secret') return `it holds a resource of kind ${JSON.stringify(word)}`;
    resources.push({ kind, name, version, serverVersion, bytes: Buffer.from(bytes, 'base64') });
  }
  return { server: body.server, resources };
}

function checksumOf(body: StateBody): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}

async function writeWhole(path: string, pieces: readonly string[]): Promise<void> {
  makeFolder(dirname(path));
  const beside = `${path}.tmp`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.chmod(0o600); // one that a crash left behind may have another mode
    for (const piece of pieces) await file.writeFile(piece); // goes on where the last one ended
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
  const dir = await open(dirname(path), 'r');
  try {
    await dir.sync(); // the rename too must survive a power cut
  } finally {
    await dir.close();
  }
}
