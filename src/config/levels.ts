// The levels of a policy: the port's settings, then the upstream's. Every value is taken through here, so that each leaves
// a note of where it came from.
//
//   one by one   the first level that sets the value has it
//   as a group   the first level that sets any member has them all; what that level leaves out takes its default and is
//                not looked for further up, since half of one makes no sense with half of another
import type { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import type { PolicyFields } from './decode/upstream.ts';

/** What provenance calls a value that no level sets. */
export const BY_DEFAULT = 'default';

/** A place that sets values, as provenance calls it: `port 7001` or `upstream`. */
interface Level {
  readonly name: string;
  readonly fields: PolicyFields;
}

/** The levels of one service port, from the nearest on. */
export class PolicyLevels {
  /** Field path as in the resource (`timeout.read`) → level or `default`. */
  readonly provenance = new Map<string, string>();
  private readonly levels: readonly Level[];

  /** `index` is that of the port level setting; there may be none. */
  constructor(upstream: Upstream, index: number) {
    const settings = upstream.portLevelSettings[index];
    const outer: Level = { name: 'upstream', fields: upstream };
    this.levels = settings === undefined ? [outer] : [{ name: `port ${settings.port}`, fields: settings }, outer];
  }

  /** One value, from the first level that sets it; undefined if none does. */
  take<T>(path: string, of: (fields: PolicyFields) => T | undefined): T | undefined {
    const level = this.levels.find(({ fields }) => of(fields) !== undefined);
    this.provenance.set(path, level?.name ?? BY_DEFAULT);
    return level && of(level.fields);
  }

  /** A list has no presence on the wire: an empty one is one that is left out. */
  takeList<T>(path: string, of: (fields: PolicyFields) => readonly T[]): readonly T[] | undefined {
    return this.take(path, (fields) => present(of(fields)));
  }

  /** The group, from the first level for which `of` gives one. */
  group<G extends object>(of: (fields: PolicyFields) => G | undefined): Group<G> {
    const level = this.levels.find(({ fields }) => of(fields) !== undefined);
    return new Group(level && of(level.fields), level?.name ?? BY_DEFAULT, this.provenance);
  }
}

/** Values that come from one level together. */
export class Group<G extends object> {
  /** Undefined: no level sets any of them. */
  readonly members: G | undefined;
  /** The level that has them, or `default`. */
  readonly source: string;
  private readonly provenance: Map<string, string>;

  constructor(members: G | undefined, source: string, provenance: Map<string, string>) {
    this.members = members;
    this.source = source;
    this.provenance = provenance;
  }

  /** Notes the level that has the group, under the group's own path. */
  note(path: string): void {
    this.provenance.set(path, this.source);
  }

  /** One member; undefined where the level leaves it out. */
  take<T>(path: string, of: (members: G) => T | undefined): T | undefined {
    const value = this.members && of(this.members);
    this.provenance.set(path, value === undefined ? BY_DEFAULT : this.source);
    return value;
  }

  /** A member that is a list; an empty one is one that is left out. */
  takeList<T>(path: string, of: (members: G) => readonly T[] | undefined): readonly T[] | undefined {
    return this.take(path, (members) => present(of(members)));
  }
}

function present<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}
