// What becomes of a change at the connected sidecars: who has acknowledged it, who refused it, who hasn't answered yet.
//
//   wait ──▶ per stream that is concerned: waiting ──▶ acknowledged
//                                             ├──────▶ refused
//                                             ├──────▶ gone (the stream ended: not waited for)
//                                             └──────▶ pending (the time is over)
import type { Cancel, Clock } from '../base/clock.ts';
import type { Kind } from '../config/resource.ts';

/** What the connected sidecars made of some resources. */
export interface Applied {
  /** Node ids that have acknowledged all of them, or aren't concerned. */
  readonly acknowledged: readonly string[];
  /** Those that refused one, and why. */
  readonly refused: readonly { readonly nodeId: string; readonly reason: string }[];
  /** Those that haven't answered in time. */
  readonly pending: readonly string[];
}

/** A resource that is waited for. */
export interface ResourceName {
  readonly kind: Kind;
  readonly name: string;
}

/**
 * How a stream stands to a resource as it is now: `unconcerned` (not asked for), `waiting` (to be sent, or not answered),
 * `acknowledged` (it holds it, or knows that it is gone), or refused, with the reason. One that needs a resource and can't
 * get it, as it may not be sent over its stream, counts as refusing it.
 */
export type Standing = 'unconcerned' | 'waiting' | 'acknowledged' | { readonly refused: string };

/** A stream, as far as this goes. */
export interface AppliedStream {
  /** Empty before its first request. */
  readonly nodeId: string;
  standing(kind: Kind, name: string): Standing;
  /** Whether it asked for all of a kind. */
  wantsAll(kind: Kind): boolean;
}

interface Wait {
  readonly resources: readonly ResourceName[];
  /** Upstreams among them that streams with a gateway are about to ask for. */
  readonly soonAsked: ReadonlySet<string>;
  /** Streams that haven't settled. */
  readonly open: Set<AppliedStream>;
  readonly acknowledged: Set<string>;
  readonly refused: Map<string, string>;
  readonly done: (applied: Applied) => void;
  cancel: Cancel;
}

/** The waits that are open. */
export class AppliedWaits {
  private readonly clock: Clock;
  private readonly waits = new Set<Wait>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Resolves once each of these streams has settled for all of the resources, or after `timeoutMs`. Streams that come later
   * aren't waited for: they begin with what is in force. `soonAsked`: Upstreams that a Route or Service among the
   * resources names, so that streams with a gateway ask for them once they have it.
   */
  wait(
    streams: Iterable<AppliedStream>,
    resources: readonly ResourceName[],
    soonAsked: ReadonlySet<string>,
    timeoutMs: number,
  ): Promise<Applied> {
    return new Promise((resolve) => {
      const wait: Wait = {
        resources,
        soonAsked,
        open: new Set([...streams].filter(({ nodeId }) => nodeId !== '')),
        acknowledged: new Set(),
        refused: new Map(),
        done: resolve,
        cancel: () => undefined,
      };
      for (const stream of wait.open) settle(wait, stream);
      if (wait.open.size === 0) {
        resolve(resultOf(wait));
        return;
      }
      this.waits.add(wait);
      wait.cancel = this.clock.after(Math.max(0, timeoutMs), () => this.finish(wait));
    });
  }

  /** Something moved on a stream. */
  check(stream: AppliedStream): void {
    for (const wait of this.waits) {
      if (!wait.open.has(stream)) continue;
      settle(wait, stream);
      if (wait.open.size === 0) this.finish(wait);
    }
  }

  /** A stream ended. */
  leave(stream: AppliedStream): void {
    for (const wait of this.waits) {
      if (wait.open.delete(stream) && wait.open.size === 0) this.finish(wait);
    }
  }

  /** Ends all waits with what is known. */
  stop(): void {
    for (const wait of this.waits) this.finish(wait);
  }

  private finish(wait: Wait): void {
    if (!this.waits.delete(wait)) return;
    wait.cancel();
    wait.done(resultOf(wait));
  }
}

function settle(wait: Wait, stream: AppliedStream): void {
  let isWaiting = false;
  for (const { kind, name } of wait.resources) {
    const standing = stream.standing(kind, name);
    if (typeof standing === 'object') {
      wait.refused.set(stream.nodeId, standing.refused);
      wait.open.delete(stream);
      return;
    }
    const isSoonAsked = kind === 'Upstream' && wait.soonAsked.has(name) && stream.wantsAll('Route');
    isWaiting ||= standing === 'waiting' || (standing === 'unconcerned' && isSoonAsked);
  }
  if (isWaiting) return;
  wait.acknowledged.add(stream.nodeId);
  wait.open.delete(stream);
}

/** A node with several streams is told of once, with the worst of them. */
function resultOf({ open, acknowledged, refused }: Wait): Applied {
  const pending = new Set([...open].map(({ nodeId }) => nodeId).filter((nodeId) => !refused.has(nodeId)));
  return {
    acknowledged: [...acknowledged].filter((nodeId) => !refused.has(nodeId) && !pending.has(nodeId)),
    refused: Array.from(refused, ([nodeId, reason]) => ({ nodeId, reason })),
    pending: [...pending],
  };
}
