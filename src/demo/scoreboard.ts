// What the demo counts: calls by port and by backend, and what the admin service says about the endpoints.
import type { EndpointStatus } from '../gen/outrigger/admin/v1/admin.ts';
import type { CallResult } from './traffic.ts';

const WINDOW_MS = 10_000;

interface Sample {
  readonly atMs: number;
  readonly latencyMs: number;
}

/** Counts of one service port. */
export interface PortScore {
  calls: number;
  ok: number;
  ejected: number;
  healed: number;
  lastError: string;
}

/** One endpoint as last seen. */
export interface EndpointScore {
  status: EndpointStatus;
  recent: Sample[];
}

/** All counts; kept by demo.ts, drawn by table.ts. */
export class Scoreboard {
  readonly ports = new Map<number, PortScore>();
  readonly endpoints = new Map<string, EndpointScore>();
  private readonly backendKeys = new Map<string, string>();

  constructor(ports: readonly number[]) {
    for (const port of ports) this.ports.set(port, { calls: 0, ok: 0, ejected: 0, healed: 0, lastError: '' });
  }

  /** Says which endpoint a backend's name stands for. */
  addBackend(name: string, address: string): void {
    this.backendKeys.set(name, address);
  }

  onCall(result: CallResult, nowMs: number): void {
    const port = this.ports.get(result.port);
    if (!port) return;
    port.calls++;
    if (result.ok) port.ok++;
    else port.lastError = result.error;
    const endpoint = this.endpoints.get(this.backendKeys.get(result.backend) ?? '');
    endpoint?.recent.push({ atMs: nowMs, latencyMs: result.latencyMs });
  }

  /** Takes a state from the admin service; returns a line where the endpoint's use changed. */
  onEndpoint(status: EndpointStatus): string | undefined {
    const key = `${status.address}:${status.port}`;
    const before = this.endpoints.get(key);
    this.endpoints.set(key, { status, recent: before?.recent ?? [] });
    if (!before) return undefined;
    const wasDown = isDown(before.status);
    const isNowDown = isDown(status);
    if (wasDown === isNowDown) return undefined;
    const port = this.ports.get(status.servicePort);
    if (port) {
      if (isNowDown) port.ejected++;
      else port.healed++;
    }
    return `${status.servicePort} ${status.scheme} ${key} ${status.state}: ${status.cause}`;
  }

  /** Takes the counters of a list; states come from the watch alone, so that none is seen twice. */
  onCounters({ address, port, successes, failures }: EndpointStatus): void {
    const endpoint = this.endpoints.get(`${address}:${port}`);
    if (endpoint) endpoint.status = { ...endpoint.status, successes, failures };
  }

  /** Calls a second, p50 and p99 of an endpoint over the last ten seconds. */
  recent(endpoint: EndpointScore, nowMs: number): { rps: number; p50Ms: number; p99Ms: number } {
    endpoint.recent = endpoint.recent.filter(({ atMs }) => nowMs - atMs <= WINDOW_MS);
    const sorted = endpoint.recent.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
    const first = endpoint.recent[0];
    const spanMs = first ? Math.max(1000, nowMs - first.atMs) : WINDOW_MS;
    return { rps: (endpoint.recent.length * 1000) / spanMs, p50Ms: at(0.5), p99Ms: at(0.99) };
  }
}

function isDown(status: EndpointStatus): boolean {
  return status.state === 'unhealthy' || status.state === 'mostly_unhealthy';
}
