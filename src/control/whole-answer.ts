// When the answer to `*` is whole. The protocol has no mark for its end, and a large one comes in several responses, the
// next often only after the last was answered. A server splits for the sake of message sizes, so a small response ends
// the answer, and after a large one it ends when nothing more follows.
//
// With Outrigger's own control plane (controlplane/delta-stream.ts) that is a contract: it cuts a response only once that
// holds more than 1 MiB, counted as here, so a smaller part is the last for certain. Of another server it is a guess;
// where it is wrong, what comes later is still taken, only what serves may lack it for that long.
//
//              small response
//   asked ─────────────────────────────► whole
//     │  ▲                                 ▲
//     │  └─ large response: another round  │
//     └───── 250 ms after a large one ─────┘
import type { DeliveredResponse } from './subscription.ts';

/** Beyond, another part may follow. A quarter of the 4 MiB that gRPC clients take by default. */
const LARGE_BYTES = 1024 * 1024;
/** What a resource takes in a response beside its name and content, bytes. */
const OVERHEAD_BYTES = 64;
/** After a large part nothing more came for this long, ms. */
const PART_QUIET_MS = 250;

/** The answer to one wish for everything of a type. */
export class WholeAnswer {
  /** Nothing more is expected. */
  isWhole: boolean;
  /** When the answer is whole if nothing comes until then; Infinity: not by time. */
  dueMs = Infinity;
  private readonly unconfirmed: Set<string>;

  /**
   * `unconfirmed`: names that are held and of which the server wasn't told, so it won't tell of their removal. `isWhole`:
   * everything else is held from an earlier stream.
   */
  constructor(unconfirmed: ReadonlySet<string>, isWhole: boolean) {
    this.unconfirmed = new Set(unconfirmed);
    this.isWhole = isWhole && unconfirmed.size === 0;
  }

  /** The server said something of `name`. */
  confirm(name: string): void {
    this.unconfirmed.delete(name);
  }

  /** A response was gone through; returns whether the answer is whole by it. */
  add({ resources }: DeliveredResponse, nowMs: number): boolean {
    if (this.isWhole) return false;
    let bytes = 0;
    for (const { name, bytes: content } of resources) {
      bytes += (name?.length ?? 0) + (content?.length ?? 0) + OVERHEAD_BYTES;
    }
    if (bytes <= LARGE_BYTES) return true;
    this.dueMs = nowMs + PART_QUIET_MS;
    return false;
  }

  /** Ends it, and tells what is held that the server doesn't have. */
  finish(): Iterable<string> {
    this.isWhole = true;
    this.dueMs = Infinity;
    const gone = [...this.unconfirmed];
    this.unconfirmed.clear();
    return gone;
  }
}
