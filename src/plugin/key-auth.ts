// `key-auth`: who calls is known by a key (APISIX `key-auth`). The key is looked for in a field, and in the query only where
// the field is absent. What can't be told for certain, as two fields of the name, is no valid key.
import type { Fields } from '../codec/exchange.ts';
import type { ConsumerSpec, KeyAuthPolicy, PluginSpec } from '../model/gateway.ts';
import { toLatin1 } from '../policy/latin1.ts';
import type { KeyHolder } from './consumer-table.ts';
import { foldName, removeFolded } from './folded-fields.ts';
import type { Plugin, PluginAnswer, PluginContext, PluginRequest } from './plugin.ts';
import { findArgument, removeArguments } from './query-argument.ts';

type KeyAuthSpec = Extract<PluginSpec, { readonly name: 'key-auth' }>;

/** `key-auth`. */
export const KEY_AUTH: Plugin<KeyAuthSpec> = { name: 'key-auth', phase: 'rewrite', run: authenticate };

const USERNAME = 'X-Consumer-Username';
const CREDENTIAL = 'X-Credential-Identifier';
const CUSTOM_ID = 'X-Consumer-Custom-ID';
/** What endpoints believe, folded; a caller's own never reach them. */
export const IDENTITY_FIELDS: readonly string[] = [USERNAME, CREDENTIAL, CUSTOM_ID].map(foldName);

const MISSING_KEY = 'Missing API key in request';
const INVALID_KEY = 'Invalid API key in request';
const NO_SUCH_CONSUMER = 'Invalid user authorization';

/** No 401: a caller would throw a good key away. */
const NOT_YET_KNOWN: PluginAnswer = { kind: 'not_configured', status: 0, fields: [], body: undefined, detail: '' };

/** A policy with what is made of it once. */
export interface KeyCarrier {
  /** Name of the argument, latin1. */
  readonly query: string;
  /** Folded names of the identity's fields and of the key's. */
  readonly removedWithHeader: readonly string[];
}

const carriers = new WeakMap<KeyAuthPolicy, KeyCarrier>();

/** What is made of a policy. */
export function carrierOf(policy: KeyAuthPolicy): KeyCarrier {
  let carrier = carriers.get(policy);
  if (carrier === undefined) {
    carrier = { query: toLatin1(policy.query), removedWithHeader: [...IDENTITY_FIELDS, foldName(policy.header)] };
    carriers.set(policy, carrier);
  }
  return carrier;
}

function authenticate(
  { policy }: KeyAuthSpec,
  request: PluginRequest,
  context: PluginContext,
): PluginAnswer | undefined {
  const { head } = request;
  const carrier = carrierOf(policy);
  const fieldAt = indexOfField(head.fields, policy.header, 0);
  let holder: KeyHolder | undefined;
  let reason = INVALID_KEY;
  let showsKey = false;
  if (fieldAt >= 0) {
    const isOnly = indexOfField(head.fields, policy.header, fieldAt + 2) < 0;
    if (isOnly) {
      showsKey = true;
      holder = context.consumers.findByKey(head.fields[fieldAt + 1]!);
    }
  } else {
    const argument = findArgument(head.path, carrier.query);
    if (argument.kind === 'value') {
      showsKey = true;
      holder = context.consumers.findByKey(argument.value);
    } else if (argument.kind === 'absent') reason = MISSING_KEY;
  }
  let consumer = holder?.consumer;
  if (consumer === undefined) {
    if (showsKey && !context.consumersAreKnown) return NOT_YET_KNOWN;
    if (policy.anonymousConsumer === undefined) return refusal(policy, reason);
    consumer = context.consumers.get(policy.anonymousConsumer);
    if (consumer === undefined) {
      return context.consumersAreKnown ? refusal(policy, NO_SUCH_CONSUMER) : NOT_YET_KNOWN;
    }
  }
  const isAnonymous = holder === undefined;
  const hidesHeader = policy.hidesCredentials && (fieldAt >= 0 || isAnonymous);
  removeFolded(head.fields, hidesHeader ? carrier.removedWithHeader : IDENTITY_FIELDS);
  if (policy.hidesCredentials && (fieldAt < 0 || isAnonymous)) head.path = removeArguments(head.path, carrier.query);
  introduce(head.fields, consumer, holder === undefined ? '' : holder.credentialId);
  request.consumer = consumer.name;
  request.consumerSpec = consumer;
  return undefined;
}

/** Index of the first field called `name`, in lower case, at or after `start`; -1: none. */
function indexOfField(fields: Fields, name: string, start: number): number {
  for (let i = start; i < fields.length; i += 2) {
    const candidate = fields[i]!;
    if (candidate === name || (candidate.length === name.length && candidate.toLowerCase() === name)) return i;
  }
  return -1;
}

/** Tells the endpoint who calls. */
function introduce(fields: Fields, consumer: ConsumerSpec, credentialId: string): void {
  fields.push(USERNAME, consumer.name);
  if (credentialId !== '') fields.push(CREDENTIAL, credentialId);
  // A label may hold any text; one that can't stand in a field would split the request in two.
  if (consumer.customId !== '' && FIELD_TEXT.test(consumer.customId)) {
    fields.push(CUSTOM_ID, toLatin1(consumer.customId));
  }
}

/** RFC 9110 section 5.5, without blanks at the ends. */
const FIELD_TEXT = /^[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?$/;

/** RFC 9110 section 11.6.1: a 401 says how to do better. */
function refusal(policy: KeyAuthPolicy, message: string): PluginAnswer {
  return {
    kind: 'unauthenticated',
    status: 401,
    fields: ['WWW-Authenticate', `apikey realm="${policy.realm}"`],
    body: JSON.stringify({ message }),
    detail: message,
  };
}
