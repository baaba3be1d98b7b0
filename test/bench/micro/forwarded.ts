import { RandomHex, secretBytes } from '../../../src/base/rng.ts';
import type { RequestHead } from '../../../src/codec/exchange.ts';
import { addForwardingFields, createForwarding } from '../../../src/proxy/forwarding.ts';

/** The process as forwarding sees it. */
export const PROCESS = createForwarding('outrigger-8f14e45f', new RandomHex(secretBytes));

/** The head as the sidecar sends it on; its fields are a list of their own. */
export function forwarded(head: RequestHead, remoteAddress = '10.0.0.9'): RequestHead {
  const copy = { ...head, fields: head.fields.slice() };
  addForwardingFields(copy, remoteAddress, 9080, PROCESS);
  return copy;
}
