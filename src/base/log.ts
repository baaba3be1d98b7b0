// What the program logs through. Levels are numbers so that "is it on?" is one comparison; callers on the request path
// ask before they build a string. runtime/ puts pino behind it.

/** Levels, pino's numbers. */
export const LOG_LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const;
export type LogLevel = keyof typeof LOG_LEVELS;

/** A structured log. `fields` come first, as in pino; never put a secret there. */
export interface Logger {
  level: LogLevel;
  isOn(level: LogLevel): boolean;
  log(level: LogLevel, fields: Record<string, unknown>, message: string): void;
}

/** Keeps nothing. */
export const silentLogger: Logger = {
  level: 'fatal',
  isOn: () => false,
  log: () => undefined,
};
