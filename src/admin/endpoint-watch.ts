// One watcher of endpoints. What it hasn't been told waits by endpoint, newest news only, so a slow reader costs at most
// one entry for each endpoint that lives or that it has been told of, however often things change:
//
//   waiting \ then     added      updated            removed
//   nothing            ADDED      UPDATED            REMOVED
//   INITIAL, ADDED     (same)     same, newer value  forgotten: it never heard of it
//   UPDATED            (same)     UPDATED, newer     REMOVED
//   REMOVED            UPDATED    UPDATED            REMOVED
import { WatchEndpointsResponse_Change, type WatchEndpointsResponse } from '../gen/outrigger/admin/v1/admin.ts';
import { endpointStatus } from './endpoint-status.ts';
import type { EndpointChange, EndpointView, PortView } from './views.ts';

interface News {
  change: WatchEndpointsResponse['change'];
  port: PortView;
  endpoint: EndpointView;
}

/** Puts a message on the stream; false when the stream wants no more until {@link EndpointWatch.resume}. */
type Send = (message: WatchEndpointsResponse) => boolean;

/** Orders and merges what one watcher is told. */
export class EndpointWatch {
  private readonly waiting = new Map<string, News>();
  private readonly send: Send;
  private blocked = true;

  /** Nothing is sent before the first {@link resume}. */
  constructor(send: Send) {
    this.send = send;
  }

  /** Endpoints with news that wait. */
  get size(): number {
    return this.waiting.size;
  }

  /** An endpoint that was there when the watch began. */
  initial(port: PortView, endpoint: EndpointView): void {
    this.waiting.set(keyOf(port, endpoint), { change: WatchEndpointsResponse_Change.INITIAL, port, endpoint });
  }

  /** Takes a change in, and sends it if the stream takes it. */
  change(change: EndpointChange, port: PortView, endpoint: EndpointView): void {
    const key = keyOf(port, endpoint);
    const news = this.waiting.get(key);
    if (!news) {
      this.waiting.set(key, { change: CHANGES[change], port, endpoint });
    } else if (change === 'removed' && isUnheardOf(news)) {
      this.waiting.delete(key);
    } else {
      if (change === 'removed') news.change = WatchEndpointsResponse_Change.REMOVED;
      else if (!isUnheardOf(news)) news.change = WatchEndpointsResponse_Change.UPDATED;
      news.port = port;
      news.endpoint = endpoint;
    }
    this.sendWaiting();
  }

  /** The stream takes messages again. */
  resume(): void {
    this.blocked = false;
    this.sendWaiting();
  }

  private sendWaiting(): void {
    for (const [key, { change, port, endpoint }] of this.waiting) {
      if (this.blocked) return;
      this.waiting.delete(key);
      this.blocked = !this.send({ change, endpoint: endpointStatus(port, endpoint) });
    }
  }
}

const CHANGES = {
  added: WatchEndpointsResponse_Change.ADDED,
  removed: WatchEndpointsResponse_Change.REMOVED,
  updated: WatchEndpointsResponse_Change.UPDATED,
} as const;

function isUnheardOf({ change }: News): boolean {
  return change === WatchEndpointsResponse_Change.INITIAL || change === WatchEndpointsResponse_Change.ADDED;
}

function keyOf(port: PortView, endpoint: EndpointView): string {
  return `${port.upstream}/${port.servicePort} ${endpoint.address} ${endpoint.port}`;
}
