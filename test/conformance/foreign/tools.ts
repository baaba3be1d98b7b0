// Where foreign programs are found, and which version they are. Go programs carry the version of their module in the
// file itself, so that it needs no Go to be read.
import { accessSync, constants, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findProgram, readVersion } from '../../bench/installed.ts';

/** The path of an installed program, or undefined: PATH, then where scripts/install-conformance-tools.mjs puts them. */
export function findTool(name: string): string | undefined {
  const onPath = findProgram(name);
  if (onPath !== undefined) return onPath;
  return toolFolders()
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** The path of a program that `missing` has found. */
export function tool(name: string): string {
  const path = findTool(name);
  if (path === undefined) throw new Error(notInstalled(name));
  return path;
}

/** Why a suite can't run, naming the first of its programs that is missing; undefined if all are there. */
export function missingTool(...names: readonly string[]): string | undefined {
  const name = names.find((name) => findTool(name) === undefined);
  return name === undefined ? undefined : notInstalled(name);
}

/** `name` with the version of the Go module that it was built from, else with what `--version` says. */
export function goVersion(name: string): string {
  const path = tool(name);
  const version = moduleVersion(readFileSync(path).toString('latin1'));
  if (version !== undefined) return `${name} ${version}`;
  const said = readVersion(path, ['--version'], /(\d+\.\d+\.\d+(?: \([0-9a-f]{7,}\))?)/);
  return `${name} ${said}`;
}

/** The version in the build information of a Go program; undefined for one that was built from a folder. */
export function moduleVersion(program: string): string | undefined {
  const version = /\nmod\t[^\t\n]+\t([^\t\n]+)[\t\n]/.exec(program)?.[1];
  return version === '(devel)' ? undefined : version;
}

function notInstalled(name: string): string {
  return `${name} is not installed`;
}

function toolFolders(): string[] {
  const given = process.env['OUTRIGGER_TOOLS'];
  return [
    ...(given === undefined ? [] : [join(given, 'bin')]),
    join('.cache', 'tools', 'bin'),
    join(homedir(), '.cache', 'outrigger-tools', 'bin'),
  ];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
