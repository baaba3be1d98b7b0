import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** A folder of fixtures: OUTRIGGER_FIXTURES, else beside the project. */
export function fixtureFolder(name: string): string {
  return join(process.env['OUTRIGGER_FIXTURES'] ?? join('..', 'shared', 'fixtures'), name);
}

/** Why a suite of fixtures can't run, or undefined. */
export function missingFixtures(name: string): string | undefined {
  return existsSync(fixtureFolder(name)) ? undefined : `OUTRIGGER_FIXTURES has no ${name}/`;
}
