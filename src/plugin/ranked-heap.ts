// A binary heap whose members know where they stand, so that one of which the rank changed, or that goes, is found at once.

/** What stands in a heap; in one at a time. */
export interface Ranked {
  /** The lowest stands first. Who changes it calls {@link RankedHeap.changed}. */
  rank: number;
  /** Index in the heap. */
  position: number;
}

/** Members by rank; each change costs the logarithm of how many there are. */
export class RankedHeap<T extends Ranked> {
  /** Children of i are 2 i + 1 and 2 i + 2. */
  private readonly members: T[] = [];

  get size(): number {
    return this.members.length;
  }

  /** The one of the lowest rank; undefined: there is none. */
  get first(): T | undefined {
    return this.members[0];
  }

  add(member: T): void {
    member.position = this.members.length;
    this.members.push(member);
    this.siftUp(member);
  }

  remove(member: T): void {
    const last = this.members.pop()!;
    if (last === member) return;
    last.position = member.position;
    this.members[last.position] = last;
    this.changed(last);
  }

  /** Keeps the order after the rank of a member changed. */
  changed(member: T): void {
    this.siftUp(member);
    this.siftDown(member);
  }

  private siftUp(member: T): void {
    const { members } = this;
    let at = member.position;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = members[above]!;
      if (parent.rank <= member.rank) break;
      members[at] = parent;
      parent.position = at;
      at = above;
    }
    members[at] = member;
    member.position = at;
  }

  private siftDown(member: T): void {
    const { members } = this;
    const { length } = members;
    let at = member.position;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= length) break;
      if (below + 1 < length && members[below + 1]!.rank < members[below]!.rank) below++;
      const child = members[below]!;
      if (child.rank >= member.rank) break;
      members[at] = child;
      child.position = at;
      at = below;
    }
    members[at] = member;
    member.position = at;
  }
}
