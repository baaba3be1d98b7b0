import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { describe, it } from 'node:test';
import { COMMANDS, commandPage, flagOptions, helpPage } from '../../../src/cli/usage.ts';
import { settingNames } from '../../../src/config/settings.ts';

describe('usage', () => {
  it('the help page lists every command with its summary', () => {
    const page = helpPage();
    for (const [name, { summary }] of Object.entries(COMMANDS)) {
      assert.ok(page.includes(`  ${name.padEnd(10)}${summary}\n`), name);
    }
  });

  it('the page of a command lists every flag with its text, in lines that a terminal shows', () => {
    for (const [name, command] of Object.entries(COMMANDS)) {
      const page = commandPage(command);
      assert.ok(page.startsWith(`Usage: outrigger ${name}`), name);
      for (const [flag, { text, value }] of Object.entries(command.flags)) {
        const line = page.split('\n').find((candidate) => candidate.replace(/^ +(-., )?/, '').startsWith(`--${flag} `));
        assert.ok(line !== undefined && line.endsWith(text), `${name} --${flag}`);
        if (value !== undefined) assert.ok(line.includes(`--${flag} ${value}`));
        assert.ok(line.length <= 130, line);
      }
    }
  });

  it('every setting of run has its flag, and run and config show have the same flags', () => {
    const run = COMMANDS['run'];
    assert.ok(run);
    for (const { flag } of settingNames()) assert.ok(run.flags[flag], flag);
    assert.equal(COMMANDS['config']?.flags, run.flags);
  });

  it('no two flags of a command share a letter', () => {
    for (const command of Object.values(COMMANDS)) {
      const letters = Object.values(command.flags).flatMap(({ short }) => short ?? []);
      assert.equal(new Set([...letters, 'h']).size, letters.length + 1);
    }
  });

  it('flags are parsed as their table says', () => {
    const run = COMMANDS['run'];
    assert.ok(run);
    const parse = (...args: string[]): Record<string, unknown> => ({
      ...parseArgs({ args, options: flagOptions(run) }).values,
    });
    assert.deepEqual(parse('-c', 'f', '--listen', '1', '--listen=2', '-h'), {
      config: 'f',
      listen: ['1', '2'],
      help: true,
    });
    assert.throws(() => parse('--no-such'), /no-such/);
    assert.throws(() => parse('--admin'), /admin/);
    assert.throws(() => parse('--help=yes'), /help/);
  });
});
