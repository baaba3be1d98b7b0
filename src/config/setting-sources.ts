// Where settings come from, in the order in which they stand above each other: flag, environment, file, default.

/** Where a value came from. */
export type Origin = 'flag' | 'environment' | 'file' | 'default';

/** Environment variables, handed in by main.ts. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Flag values by name, as node:util's parseArgs gives them. */
export type Flags = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
