// The reference control plane behind a sidecar under test. It runs beside the load, not on the proxy's core.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ADMIN_KEY } from '../admin-api.ts';
import { awaitReadyLine } from '../await-ready.ts';
import type { Child } from '../child.ts';
import type { Workbench } from '../workbench.ts';

/** The program of the build that this bench belongs to. */
export const OWN_PROGRAM = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

/** A control plane that is up. */
export interface ControlPlane {
  readonly child: Child;
  /** Where sidecars connect to. */
  readonly ads: string;
  /** Port of the Admin API. */
  readonly adminApiPort: number;
}

/** One resource of a directory. */
export interface NativeResource {
  readonly kind: string;
  readonly metadata: object;
  readonly spec: object;
}

/** Starts one that serves these resources, and what is written through its Admin API. */
export async function startControlPlane(bench: Workbench, resources: readonly NativeResource[]): Promise<ControlPlane> {
  const directory = mkdtempSync(join(bench.folder, 'resources-'));
  const store = mkdtempSync(join(bench.folder, 'store-'));
  for (const [index, resource] of resources.entries()) {
    const document = { apiVersion: 'outrigger.config/v1', ...resource };
    writeFileSync(join(directory, `${index}.json`), JSON.stringify(document));
  }
  const child = await bench.children.start('others', bench.node, [
    ...[OWN_PROGRAM, 'control', '--ads', '127.0.0.1:0', '--dir', directory],
    ...['--admin-api', '127.0.0.1:0', '--admin-key', ADMIN_KEY, '--store', store],
  ]);
  const ready = (await awaitReadyLine(child, 'the control plane')) as Readonly<Record<string, string>>;
  const ads = ready['ads'] ?? '';
  return { child, ads, adminApiPort: portOf(ready['adminApi']) };
}

/** The port of HOST:PORT. Throws if there is none. */
export function portOf(address: unknown): number {
  const port = typeof address === 'string' ? Number(address.slice(address.lastIndexOf(':') + 1)) : Number.NaN;
  if (!Number.isInteger(port)) throw new Error(`${String(address)} is no HOST:PORT`);
  return port;
}
