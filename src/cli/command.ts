import type { Environment, Flags } from '../config/setting-sources.ts';

/** What main.ts hands to a command; the only way to arguments, environment, terminal and signals. */
export interface CommandContext {
  readonly flags: Flags;
  /** In the order they came, for flags that belong to the one before. */
  readonly tokens: readonly { readonly kind: string; readonly name?: string; readonly value?: string | undefined }[];
  readonly positionals: readonly string[];
  readonly environment: Environment;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly isTerminal: boolean;
  /** SIGTERM and SIGINT, each time. */
  readonly onSignal: (handler: () => void) => void;
}

/** Resolves at the first signal; `again` is called at each one after it. */
export function untilSignal(context: CommandContext, again: () => void): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    context.onSignal(() => {
      if (++signals === 1) resolve();
      else again();
    });
  });
}
