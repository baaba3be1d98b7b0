import assert from 'node:assert/strict';
import type { AdsStreamEvents, OpenAdsStream } from '../../src/control/ads-stream.ts';
import { formatServer } from '../../src/control/ads-stream.ts';
import type { AdsRequest, DeliveredResource, DeliveredResponse } from '../../src/control/subscription.ts';
import type { Kind, Messages } from '../../src/config/resource.ts';
import { typeUrl } from '../../src/config/resource.ts';
import type { DeepPartial } from './resources.ts';
import { encode } from './resources.ts';

/** A resource as a response carries it. */
export function delivered<K extends Kind>(
  kind: K,
  name: string,
  version: string,
  partial: DeepPartial<Messages[K]>,
  more: Partial<DeliveredResource> = {},
): DeliveredResource {
  const bytes = encode(kind, { name, ...partial });
  return { name, typeUrl: typeUrl(kind), version, ttlMs: undefined, bytes, aliases: [], ...more };
}

/** A resource without content. */
export function heartbeat(name: string, version: string, ttlMs: number): DeliveredResource {
  return { name, typeUrl: '', version, ttlMs, bytes: undefined, aliases: [] };
}

let nonces = 0;

/** A response; its nonce is new unless one is given. */
export function responseOf(
  kind: Kind,
  resources: readonly DeliveredResource[],
  more: Partial<DeliveredResponse> = {},
): DeliveredResponse {
  return { typeUrl: typeUrl(kind), version: '', nonce: `nonce-${++nonces}`, resources, removed: [], ...more };
}

/** One stream as the server sees it, without a network. */
export class FakeStream {
  readonly address: string;
  readonly requests: AdsRequest[] = [];
  closed = false;
  private readonly events: AdsStreamEvents;

  constructor(address: string, events: AdsStreamEvents) {
    this.address = address;
    this.events = events;
  }

  connect(): this {
    this.events.onConnected();
    return this;
  }

  respond(kind: Kind, resources: readonly DeliveredResource[], more: Partial<DeliveredResponse> = {}): string {
    const response = responseOf(kind, resources, more);
    this.events.onResponse(response);
    return response.nonce;
  }

  end(error = 'UNAVAILABLE: gone'): void {
    this.events.onEnd(error);
  }

  /** Requests of a kind so far, taken out. */
  take(kind: Kind): AdsRequest[] {
    const taken = this.requests.filter((request) => request.kind === kind);
    for (const request of taken) this.requests.splice(this.requests.indexOf(request), 1);
    return taken;
  }

  /** Names of a kind that a delta client is subscribed to, from all requests that weren't taken. */
  names(kind: Kind): string[] {
    const names = new Set<string>();
    for (const request of this.requests) {
      if (request.kind !== kind) continue;
      if (request.flavour === 'sotw') {
        names.clear();
        for (const name of request.names) names.add(name);
        continue;
      }
      for (const name of request.subscribe) names.add(name);
      for (const name of request.unsubscribe) names.delete(name);
    }
    return [...names].sort();
  }

  /** Answers given to a nonce: '' for an ACK, else the error. */
  answers(nonce: string): string[] {
    return this.requests.filter((request) => request.nonce === nonce).map((request) => request.error);
  }
}

/** Opens fake streams and remembers them. */
export class FakeAds {
  readonly streams: FakeStream[] = [];
  readonly open: OpenAdsStream = (server, events) => {
    const stream = new FakeStream(formatServer(server), events);
    this.streams.push(stream);
    return {
      send: (request) => {
        if (!stream.closed) stream.requests.push(request);
      },
      close: () => {
        stream.closed = true;
      },
    };
  };

  /** The newest stream; fails if fewer than `count` were opened. */
  last(count = 1): FakeStream {
    assert.equal(this.streams.length, count, 'streams opened');
    const stream = this.streams.at(-1);
    assert.ok(stream);
    return stream;
  }
}
