// fs.watch on a set of folders, one watcher each: the recursive mode follows no links and differs between systems.
import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';

/** Watches folders; says that something happened, never what. */
export class FolderWatch {
  private readonly watchers = new Map<string, FSWatcher>();
  /** What tells a watched folder from another one put in its place. */
  private readonly identities = new Map<string, string>();
  private readonly onEvent: (path: string | undefined) => void;
  private failed = false;

  constructor(onEvent: (path: string | undefined) => void) {
    this.onEvent = onEvent;
  }

  /** Whether every folder is being watched. */
  get works(): boolean {
    return !this.failed && this.watchers.size > 0;
  }

  /**
   * Watches exactly these folders (path and identity) from now on; true if one is new. One that can't be watched
   * (limits of the system) is left to polling.
   */
  follow(folders: ReadonlyMap<string, string>): boolean {
    for (const [folder, watcher] of this.watchers) {
      if (folders.get(folder) !== this.identities.get(folder)) this.drop(folder, watcher);
    }
    this.failed = false;
    let added = false;
    for (const [folder, identity] of folders) {
      if (this.watchers.has(folder)) continue;
      added = this.add(folder) || added;
      this.identities.set(folder, identity);
    }
    return added;
  }

  close(): void {
    for (const [folder, watcher] of this.watchers) this.drop(folder, watcher);
  }

  private add(folder: string): boolean {
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        // A folder that was removed and made again has the same name and another watcher.
        if (event === 'rename' && name !== null && folder.endsWith(`/${name}`)) this.drop(folder, watcher);
        this.onEvent(name === null ? undefined : join(folder, name));
      });
      watcher.on('error', () => {
        this.drop(folder, watcher);
        this.onEvent(undefined);
      });
      this.watchers.set(folder, watcher);
      return true;
    } catch {
      this.failed = true;
      return false;
    }
  }

  private drop(folder: string, watcher: FSWatcher): void {
    if (this.watchers.get(folder) === watcher) this.watchers.delete(folder);
    watcher.close();
  }
}
