// What one stream has of one type of resource: what it asked for, what it holds, what is due, and what it refused. What is
// due is kept name by name, so a change costs the names that it changed.
import { type Kind, kindOf } from '../config/resource.ts';
import type { Refusal } from './nack-reason.ts';
import type { VersionedResource } from './versioned-resource.ts';
import type { View } from './views.ts';

/** Told that there is no resource of this name. */
const ABSENT = '';

/** A response that isn't answered yet. */
export interface Sent {
  readonly nonce: string;
  /** Names of the resources in it. */
  readonly added: ReadonlySet<string>;
  /** Names that it told gone or absent. */
  readonly removed: ReadonlySet<string>;
}

/** One type on one stream. */
export class TypeState {
  readonly url: string;
  readonly kind: Kind | undefined;
  /** Names that it asked for. */
  readonly names = new Set<string>();
  wildcard = false;
  /** An empty answer is owed: the first `*` of a type that has nothing. */
  owesEmpty = false;
  /** To be sent. */
  readonly adds = new Map<string, VersionedResource>();
  /** Asked for, never there: told with the adds. */
  readonly absent = new Set<string>();
  /** Was there, is gone. */
  readonly gone = new Set<string>();
  awaiting: Sent | undefined;
  /** By name; of one answer several may share one that names none. */
  readonly refusals = new Map<string, Refusal>();
  /** Resources sent, each version once. */
  sent = 0;
  /** Those that were acknowledged. */
  acknowledged = 0;
  /** Name → version that the client has, or {@link ABSENT}. */
  private readonly held = new Map<string, string>();
  /** Names that must be answered even if the client has them: it asked again. */
  private readonly asked = new Set<string>();

  constructor(url: string) {
    this.url = url;
    this.kind = kindOf(url);
  }

  /** How many resources and removals wait to be sent. */
  get due(): number {
    return this.adds.size + this.absent.size + this.gone.size;
  }

  /** Whether it asked for a name, or for all. */
  wants(name: string): boolean {
    return this.wildcard || this.names.has(name);
  }

  /** It asks for a name. `holds`: and says in the same request that it has it. */
  subscribe(name: string, holds: boolean): void {
    this.names.add(name);
    if (!holds) this.asked.add(name);
  }

  /** It says what it has from an earlier stream. */
  claim(name: string, version: string): void {
    if (this.wants(name)) this.held.set(name, version);
  }

  /** It asks for a name no more. */
  unsubscribe(name: string): void {
    if (!this.names.delete(name)) return;
    this.asked.delete(name);
    // Under `*` the client can't know whether it keeps the resource: it must be told.
    if (this.wildcard) this.asked.add(name);
    else this.drop(name);
  }

  /** It asks for all no more; what it asked for by name stays. */
  unsubscribeAll(): void {
    this.wildcard = false;
    this.owesEmpty = false;
    for (const name of [...this.held.keys()]) if (!this.names.has(name)) this.drop(name);
  }

  /** Looks at a name again. */
  review(name: string, view: View): void {
    this.adds.delete(name);
    this.absent.delete(name);
    this.gone.delete(name);
    const resource = this.kind !== undefined && this.wants(name) ? view.get(this.kind, name) : undefined;
    const held = this.held.get(name);
    const isAsked = this.asked.has(name);
    if (resource !== undefined) {
      if (held !== resource.version || isAsked) this.adds.set(name, resource);
    } else if (held !== undefined && held !== ABSENT) {
      this.gone.add(name);
    } else if (isAsked || (held === undefined && this.names.has(name))) {
      this.absent.add(name);
    }
  }

  /** Looks at every name again. */
  reviewAll(view: View): void {
    const names = new Set([...this.names, ...this.asked, ...this.held.keys()]);
    for (const name of [...this.adds.keys(), ...this.absent, ...this.gone]) names.add(name);
    if (this.wildcard && this.kind !== undefined) for (const { name } of view.all(this.kind)) names.add(name);
    for (const name of names) this.review(name, view);
  }

  /** A resource is sent. */
  noteAdded({ name, version }: VersionedResource): void {
    this.held.set(name, version);
    this.asked.delete(name);
    this.adds.delete(name);
    this.sent++;
  }

  /** A name is told to be absent or gone. One that is still asked for is known to be absent. */
  noteRemoved(name: string): void {
    this.asked.delete(name);
    this.absent.delete(name);
    this.gone.delete(name);
    if (this.names.has(name)) this.held.set(name, ABSENT);
    else this.held.delete(name);
  }

  private drop(name: string): void {
    this.held.delete(name);
    this.refusals.delete(name);
  }
}
