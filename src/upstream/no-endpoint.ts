import type { ErrorKind } from '../base/error.ts';
import type { UpstreamPort } from '../model/snapshot.ts';
import type { Picker } from './picker.ts';

/** Why no endpoint can be had. */
export interface NoEndpoint {
  readonly kind: ErrorKind;
  readonly detail: string;
  /** Seconds after which asking again may help; 0: unknown. */
  readonly retryAfterS: number;
}

/** Why the picker of `port` gave no endpoint. `returnMs`: how long until one that is out may be back; it may be Infinity. */
export function whyNoEndpoint(port: UpstreamPort, picker: Picker, returnMs: () => number): NoEndpoint {
  const { key, endpoints, names } = port;
  if (endpoints.length === 0) {
    const unknown = names.map(({ name }) => name).join(', ');
    return none('no_endpoints', unknown === '' ? key : `${key}: no address of ${unknown} is known`);
  }
  if (picker.failsFast || picker.isWaitingForTrials) {
    const backMs = returnMs();
    const retryAfterS = Number.isFinite(backMs) ? Math.max(1, Math.ceil(backMs / 1000)) : 1;
    return { kind: 'no_healthy_endpoint', detail: key, retryAfterS };
  }
  if (!picker.isFull) {
    const isWeightless = endpoints.every(({ weight }) => weight === 0);
    return none('no_endpoints', `${key}: ${isWeightless ? 'every weight is 0' : 'no endpoint that is in has weight'}`);
  }
  return none('overflow', `${key}: every endpoint has as many calls as it may`);
}

function none(kind: ErrorKind, detail: string): NoEndpoint {
  return { kind, detail, retryAfterS: 0 };
}
