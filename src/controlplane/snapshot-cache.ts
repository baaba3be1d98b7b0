// What is served now: one immutable snapshot, put in place whole, and whoever wants to hear of the next one.
import type { Cancel } from '../base/clock.ts';
import type { Translation } from './translate/translator.ts';
import { identify, Snapshot, type View } from './views.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';

/** Holds the snapshot in force. */
export class SnapshotCache {
  private snapshot = new Snapshot({ services: [], others: [], findings: [] });
  private readonly listeners = new Set<() => void>();

  /** Puts the next snapshot in place and tells everybody. */
  put(translation: Translation): void {
    this.snapshot = new Snapshot(translation, this.snapshot);
    for (const listener of [...this.listeners]) listener();
  }

  /** What a node may see now. */
  viewOf(node: Node | undefined): View {
    return this.snapshot.viewOf(identify(node));
  }

  /** Services that a node lists and that aren't there now. */
  missingServices(node: Node | undefined): string[] {
    return this.snapshot.missingServices(identify(node));
  }

  /** Calls `listener` after each {@link put}. */
  subscribe(listener: () => void): Cancel {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
