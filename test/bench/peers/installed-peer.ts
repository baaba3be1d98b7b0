// A proxy that is installed on this machine and told by one file what to do.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awaitPort, freePort } from '../await-ready.ts';
import { findProgram, readVersion } from '../installed.ts';
import type { Scenario } from '../scenario.ts';
import { runningOn, type Workbench } from '../workbench.ts';
import type { Peer } from './peer.ts';

/** What is special to one of them. */
export interface InstalledProxy {
  /** Of the peer. */
  readonly name: string;
  readonly program: string;
  /** What makes it print its version, which is the first group of the pattern. */
  readonly version: readonly [argument: string, pattern: RegExp];
  /** Name of its file. */
  readonly file: string;
  readonly args: (file: string, folder: string) => readonly string[];
  /** Text of its file. */
  readonly configuration: (bench: Workbench, scenario: Scenario, port: number, backendPort: number) => string;
}

/** Looks for it, writes its file and starts it. */
export function installedPeer({ name, program, version, file, args, configuration }: InstalledProxy): Peer {
  return {
    name,
    isJit: false,

    probe: () => {
      const path = findProgram(program);
      if (path === undefined) return { missing: `${program} is not installed` };
      const [argument, pattern] = version;
      return { version: readVersion(path, [argument], pattern) };
    },

    start: async (bench, scenario, backendPort) => {
      const port = await freePort();
      const path = join(bench.folder, file);
      writeFileSync(path, configuration(bench, scenario, port, backendPort));
      const child = await bench.children.start('proxy', findProgram(program) ?? program, args(path, bench.folder));
      await awaitPort(child, name, port);
      return runningOn(bench, child, port);
    },
  };
}
