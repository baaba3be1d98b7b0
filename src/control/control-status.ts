// What others may see of the client, as plain data in the words of the admin service.
import { redact } from '../config/redact.ts';
import type { Kind } from '../config/resource.ts';
import type { ResourceEntry } from './resource-store.ts';

/** The stream to the control plane. */
export interface ControlStatus {
  /** `host:port` in use or tried. */
  readonly address: string;
  readonly state: 'connected' | 'connecting' | 'waiting';
  /** Since when, ms since 1970. */
  readonly sinceWallMs: number;
  /** Why the last stream ended; empty if none did. */
  readonly lastError: string;
}

/** A resource as the admin service shows it. */
export interface ResourceStatusView {
  readonly kind: Kind;
  readonly name: string;
  readonly version: string;
  readonly state: 'requested' | 'does_not_exist' | 'acked' | 'nacked' | 'removed';
  readonly error: string;
  readonly refusedVersion: string;
  /** ms since 1970; undefined where it didn't happen. */
  readonly receivedWallMs: number | undefined;
  readonly appliedWallMs: number | undefined;
  /** Of what is in force, without private keys; undefined for a Secret. Borrowed. */
  readonly bytes: Uint8Array | undefined;
  readonly unknownFields: number;
}

/** Made one by one as they are read. */
export function* statusViews(entries: Iterable<ResourceEntry>): Generator<ResourceStatusView> {
  for (const entry of entries) {
    yield {
      kind: entry.kind,
      name: entry.name,
      version: entry.version,
      state: entry.state.toLowerCase() as Lowercase<ResourceEntry['state']>,
      error: entry.error,
      refusedVersion: entry.refusedVersion,
      receivedWallMs: entry.receivedMs,
      appliedWallMs: entry.appliedMs,
      bytes: shownBytes(entry),
      unknownFields: entry.unknownFields,
    };
  }
}

function shownBytes({ kind, resource }: ResourceEntry): Uint8Array | undefined {
  return resource === undefined || kind === 'Secret' ? undefined : redact(kind, resource.bytes).bytes;
}
