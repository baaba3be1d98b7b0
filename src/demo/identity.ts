// The certificates of `outrigger demo --tls`: made for one run, gone with its directory.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { certs } from '../cli/certs.ts';
import type { CommandContext } from '../cli/command.ts';

/** An identity that every part of the demo shows, and the authority that all of them trust. */
export interface DemoIdentity {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly caFile: string;
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

/** Makes the certificates in `directory`, as `outrigger certs` does. */
export async function makeIdentity(directory: string, context: CommandContext): Promise<DemoIdentity> {
  await certs({ ...context, flags: {}, positionals: [directory], out: () => undefined });
  const certificateFile = join(directory, 'server.pem');
  const keyFile = join(directory, 'server-key.pem');
  const caFile = join(directory, 'ca.pem');
  const [certificate, key, ca] = await Promise.all(
    [certificateFile, keyFile, caFile].map((file) => readFile(file, 'utf8')),
  );
  return { certificateFile, keyFile, caFile, certificate: certificate ?? '', key: key ?? '', ca: ca ?? '' };
}
