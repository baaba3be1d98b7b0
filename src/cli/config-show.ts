import type { HostPort } from '../config/host-port.ts';
import { settingNames, type Settings } from '../config/settings.ts';
import type { CommandContext } from './command.ts';
import { readRunSettings } from './run-settings.ts';
import { UsageError } from './usage.ts';

/** `outrigger config show`: each setting of `run`, resolved, and where it came from. */
export async function configShow(context: CommandContext): Promise<number> {
  const [verb, ...positionals] = context.positionals;
  if (verb !== 'show') throw new UsageError('usage: outrigger config show [FLAGS OF run]');
  const { settings, origins } = await readRunSettings({ ...context, positionals });
  const names = [...settingNames(), { name: 'listeners' as const, flag: 'listen', environment: '-' }];
  const rows = names.map(({ name, flag, environment }) => [
    `--${flag}`,
    show(name, settings),
    origins.get(name) ?? 'default',
    environment,
  ]);
  rows.unshift(['SETTING', 'VALUE', 'FROM', 'ENVIRONMENT']);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    context.out(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd() + '\n',
    );
  }
  return 0;
}

function show(name: keyof Settings, settings: Settings): string {
  switch (name) {
    case 'admin':
    case 'health':
      return address(settings[name]);
    case 'control':
      return list(settings.control.map(address));
    case 'services':
      return list(settings.services);
    case 'listeners':
      return list(
        settings.listeners.map(
          ({ listen, to, scheme }) => `${address(listen)}->${scheme}:${to.map(address).join(',')}`,
        ),
      );
    case 'drainTimeoutMs':
      return `${settings.drainTimeoutMs}ms`;
    default:
      return settings[name] ?? '-';
  }
}

function list(words: readonly string[]): string {
  return words.length === 0 ? '-' : words.join(' ');
}

function address({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
