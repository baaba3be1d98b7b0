import type { CertificateFiles } from './certificate.ts';
import type { Child, Children } from './child.ts';

/** What peers, backends and load tools need to run. */
export interface Workbench {
  readonly children: Children;
  /** A folder for configuration files, removed at the end. */
  readonly folder: string;
  /** The Node that runs proxies written for Node. */
  readonly node: string;
  /** What peers show over TLS. */
  readonly certificate: CertificateFiles;
}

/** A server that is up. */
export interface Running {
  readonly pid: number;
  readonly port: number;
  /** Milliseconds from its start until it served. */
  readonly readyMs: number;
  /** Begins what is to go on during a load; gives what ends it, which throws if something went wrong. */
  disturb?(): () => Promise<void>;
  /** What it said before it ended, or undefined while it runs. */
  lastWords(): string | undefined;
  stop(): Promise<void>;
}

/** A child that serves on a port of 127.0.0.1 since this moment. */
export function runningOn(bench: Workbench, child: Child, port: number): Running {
  return {
    pid: child.pid,
    port,
    readyMs: performance.now() - child.startedAtMs,
    lastWords: () => (child.hasEnded() ? child.stderr() : undefined),
    stop: () => bench.children.stop(child),
  };
}
