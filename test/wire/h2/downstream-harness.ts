import type { ErrorKind } from '../../../src/base/error.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { RequestHead, ResponseHead, ResponseSender } from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import { createH2Session } from '../../../src/downstream/h2-session.ts';
import type { Session } from '../../../src/downstream/session.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { H2Peer, PREFACE, settings, SETTINGS_ACK } from '../../support/h2-peer.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';

/** A request that the session handed over, and everything its receiver heard. */
export interface SeenRequest {
  readonly head: RequestHead;
  readonly sender: ResponseSender;
  readonly events: string[];
  body: string;
}

export interface Downstream {
  readonly clock: FakeClock;
  readonly wheel: TimerWheel;
  readonly transport: MemoryTransport;
  readonly session: Session;
  readonly peer: H2Peer;
  readonly requests: SeenRequest[];
  readonly refused: [ErrorKind, string][];
}

export type OnRequest = (request: SeenRequest, endStream: boolean) => void;

/** A session over a memory transport, with its preface still to come. */
export function openBare(limits: Partial<WireLimits> = {}, onRequest?: OnRequest): Downstream {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const transport = new MemoryTransport(clock);
  const requests: SeenRequest[] = [];
  const refused: [ErrorKind, string][] = [];
  const session = createH2Session(transport, {
    clock,
    wheel,
    logger: silentLogger,
    limits: { ...DEFAULT_LIMITS, ...limits },
    scheme: 'http',
    onRefused: (kind, detail) => refused.push([kind, detail]),
    handle(head, endStream, sender) {
      const request: SeenRequest = { head, sender, events: [endStream ? 'head end' : 'head'], body: '' };
      requests.push(request);
      const end = (is: boolean): string => (is ? ' end' : '');
      const receiver = {
        onData(chunk: Uint8Array, endOfBody: boolean) {
          request.body += Buffer.from(chunk).toString('latin1');
          request.events.push(`data ${chunk.length}${end(endOfBody)}`);
        },
        onTrailers: (fields: string[]) => request.events.push(`trailers ${fields.join(' ')}`),
        onAbort: (kind: ErrorKind) => request.events.push(`abort ${kind}`),
        onDrain: () => request.events.push('drain'),
      };
      onRequest?.(request, endStream);
      return receiver;
    },
  });
  return { clock, wheel, transport, session, peer: new H2Peer(transport), requests, refused };
}

/** The same, with the prefaces and acknowledgements exchanged and taken. */
export function open(limits: Partial<WireLimits> = {}, onRequest?: OnRequest): Downstream {
  const downstream = openBare(limits, onRequest);
  downstream.peer.send(PREFACE, settings(), SETTINGS_ACK);
  downstream.peer.take();
  return downstream;
}

export function reply(status: number, fields: string[] = []): ResponseHead {
  return { status, fields, neverIndexed: undefined, contentLength: -1 };
}
