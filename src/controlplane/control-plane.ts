// The reference control plane: sources → objects → resources → snapshot → ADS.
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger, LogLevel } from '../base/log.ts';
import type { Credentials } from '../identity/credentials.ts';
import { watchExpiry } from '../identity/expiry-watch.ts';
import { createCredentials } from '../identity/live-credentials.ts';
import { AdminApi } from './admin-api/admin-api.ts';
import { AdminServer } from './admin-api/admin-server.ts';
import { AdsServer, type StreamStatus } from './ads-server.ts';
import type { AdsTls } from './ads-tls.ts';
import { readApisixObject } from './apisix/read-apisix-object.ts';
import { fileSetFindings } from './apisix/file-set-findings.ts';
import { FileClaims } from './apisix/file-claims.ts';
import { type Finding, formatFinding, type Severity, sortFindings } from './finding.ts';
import { refusals } from './refusals.ts';
import { SnapshotCache } from './snapshot-cache.ts';
import { objectName } from './object-name.ts';
import type { ConfigObject, Source } from './source.ts';
import { DirectorySource } from './sources/directory.ts';
import { StoreSource } from './sources/store.ts';
import { EntryReader } from './store/read-entries.ts';
import type { Store } from './store/store.ts';
import { Translator } from './translate/translator.ts';

/** The files of ADS over TLS. They are watched: a new pair is used for new connections. */
export interface AdsTlsFiles {
  /** PEM, leaf first. */
  readonly certificateFile: string;
  /** PEM. */
  readonly keyFile: string;
  /** Who signs the certificates of sidecars, which they must show then; undefined: none is asked for. */
  readonly clientCaFile: string | undefined;
  /** Whether the node id of a sidecar must be the SPIFFE id of its certificate. Needs `clientCaFile`. */
  readonly bindNodeId: boolean;
}

/** The Admin API. */
export interface AdminApiSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What `X-API-KEY` must hold. */
  readonly key: string;
  /** Where its objects are kept; started and stopped by the control plane. */
  readonly store: Store;
}

/** What a control plane is made of. */
export interface ControlPlaneOptions {
  /**
   * Directories with configuration; of two objects with one name that of the later directory stands, and above all that of
   * the Admin API.
   */
  readonly dirs: readonly string[];
  /** Where ADS is served; port 0 takes a free one. */
  readonly ads: { readonly host: string; readonly port: number };
  /** TLS of ADS; undefined: plaintext, and then secrets go only to sidecars that connect over loopback. */
  readonly adsTls?: AdsTlsFiles | undefined;
  /** The Admin API; undefined: none. */
  readonly adminApi?: AdminApiSettings | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with all findings after each change of them. */
  readonly onFindings?: (findings: readonly Finding[]) => void;
}

/** Where a control plane is reached. */
export interface ControlPlaneAddresses {
  /** `host:port` of ADS, with the port that was taken. */
  readonly adsAddress: string;
  /** The same of the Admin API; undefined: there is none. */
  readonly adminApiAddress: string | undefined;
}

/** A running control plane. */
export interface ControlPlane {
  /** Reads the sources, then serves. Rejects with a reason and a fix where a directory or the address can't be had. */
  start(): Promise<ControlPlaneAddresses>;
  stop(): Promise<void>;
  /** What is to be said about the input now. */
  findings(): readonly Finding[];
  /** The sidecars that are connected, with what they refused. */
  sidecars(): readonly StreamStatus[];
}

const LEVELS: Readonly<Record<Severity, LogLevel>> = { error: 'error', warning: 'warn', note: 'info' };

/** Makes a control plane; {@link ControlPlane.start} starts it. */
export function createControlPlane(options: ControlPlaneOptions): ControlPlane {
  const { clock, logger } = options;
  const written = options.adminApi && makeWritten(options.adminApi.store);
  const directories = options.dirs.map((directory) => new DirectorySource({ directory, clock }));
  const sources: Source[] = [...directories, ...(written === undefined ? [] : [written.source])];
  const fileClaims = new FileClaims(() => inForce(directories));
  const translator = new Translator();
  const cache = new SnapshotCache();
  const credentials = options.adsTls && createCredentials({ clock, logger });
  const tls = options.adsTls && credentials && adsTlsOf(options.adsTls, credentials);
  const server = new AdsServer({ ...options.ads, tls, cache, clock, logger });
  const admin = options.adminApi && written && makeAdmin(options.adminApi, written.reader);
  let cancelExpiryWatch: Cancel = () => undefined;
  let findings: readonly Finding[] = [];
  let started = false;

  function update(): void {
    const objects = sources.flatMap((source) => source.objects());
    const translation = translator.translate(
      objects,
      sources.flatMap((source) => source.refused()),
      sources.flatMap((source) => source.held()),
    );
    cache.put(translation);
    const read = sources.flatMap((source) => source.findings());
    // The store's own objects are held to these rules as they are written.
    const together = directories.length === 0 ? [] : fileSetFindings(inForce(sources), written !== undefined);
    tell(sortFindings([...read, ...together, ...translation.findings, ...refusals(translation)]));
  }

  /** Each finding is logged when it appears, not again while it stands. */
  function tell(next: readonly Finding[]): void {
    const before = new Set(findings.map(formatFinding));
    const after = new Set(next.map(formatFinding));
    const isSame = before.size === after.size && [...after].every((text) => before.has(text));
    findings = next;
    if (isSame) return;
    for (const finding of next) {
      const text = formatFinding(finding);
      if (!before.has(text)) logger.log(LEVELS[finding.severity], { file: finding.file, object: finding.object }, text);
    }
    for (const text of before) if (!after.has(text)) logger.log('info', {}, `resolved: ${text}`);
    options.onFindings?.(next);
  }

  function makeAdmin(
    { host, port, key, store }: AdminApiSettings,
    reader: EntryReader,
  ): { readonly api: AdminApi; readonly server: AdminServer } {
    const awaitApplied: AdsServer['awaitApplied'] = (resources, timeoutMs) => server.awaitApplied(resources, timeoutMs);
    const api = new AdminApi({ store, reader, awaitApplied, clock, fileClaims });
    return { api, server: new AdminServer({ host, port, key, api, clock, logger }) };
  }

  /** Starts the store and what looks at it. */
  async function startStore(): Promise<void> {
    await options.adminApi?.store.start((keys) => {
      admin?.api.onChanged(keys);
      written?.source.onChanged(keys);
    });
    admin?.api.load();
  }

  async function stop(): Promise<void> {
    // Writes under way are answered first, and with `wait=applied` by the sidecars too.
    await admin?.server.stop();
    await options.adminApi?.store.stop();
    started = false;
    for (const source of sources) source.stop();
    cancelExpiryWatch();
    await server.stop();
    credentials?.stop();
  }

  return {
    async start() {
      try {
        await startStore();
        // A source may change while the next one still starts: only once all are read is there something to serve.
        for (const directory of directories) {
          await directory.start(() => {
            fileClaims.onChanged();
            if (started) update();
          });
        }
        await written?.source.start(() => started && update());
        started = true;
        update();
        const adminApiAddress = await admin?.server.start();
        cache.setAdminApi(adminApiAddress);
        const adsAddress = await server.start();
        if (credentials !== undefined) cancelExpiryWatch = watchExpiry({ credentials, clock, logger });
        return { adsAddress, adminApiAddress };
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    findings: () => findings,
    sidecars: () => server.status(),
  };
}

/** The objects of sources without those whose name a later one has; what is held stands where nothing else does. */
function inForce(sources: readonly Source[]): readonly ConfigObject[] {
  const byName = new Map<string, ConfigObject>();
  const all = [...sources.flatMap((source) => source.held()), ...sources.flatMap((source) => source.objects())];
  for (const object of all) byName.set(objectName(object), object);
  return [...byName.values()];
}

/** What is made of what the Admin API was given. */
function makeWritten(store: Store): { readonly reader: EntryReader; readonly source: StoreSource } {
  const reader = new EntryReader(readApisixObject);
  return { reader, source: new StoreSource({ store, reader }) };
}

function adsTlsOf(
  { certificateFile, keyFile, clientCaFile, bindNodeId }: AdsTlsFiles,
  credentials: Credentials,
): AdsTls {
  return {
    credentials,
    certificate: { kind: 'files', certificateFile, keyFile },
    clientCa: clientCaFile === undefined ? undefined : { kind: 'file', file: clientCaFile },
    bindNodeId,
  };
}
