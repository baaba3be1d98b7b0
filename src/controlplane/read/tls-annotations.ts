// What the ApisixUpstream has no field for: whom its https and grpcs endpoints are trusted by. Annotations, since a
// cluster with the CRD installed would drop unknown fields.
import { UpstreamTls } from '../../gen/outrigger/config/v1/tls.ts';
import { suggest } from '../../config/suggest.ts';
import { UPSTREAM_ANNOTATION } from './upstream-annotation.ts';
import type { Value } from './value.ts';

const PREFIX = 'outrigger.config/';
const CA_SECRET = `${PREFIX}tls-ca-secret`;
const VERIFY = `${PREFIX}tls-verify`;
const KNOWN = [CA_SECRET, VERIFY, UPSTREAM_ANNOTATION];

/** TLS as the annotations of an object say. */
export interface TlsAnnotations {
  /** The members that they set; undefined where they say nothing. */
  readonly tls: Partial<Pick<UpstreamTls, 'ca' | 'verify'>> | undefined;
  /** The Secret with the authorities, to be looked for. */
  readonly caSecret: { readonly name: string; readonly value: Value } | undefined;
  /** All of them, for their places. */
  readonly values: readonly Value[];
}

/** Reads them from `metadata`. */
export function readTlsAnnotations(metadata: Value | undefined): TlsAnnotations {
  const annotations = metadata?.anyMembers()?.get('annotations');
  const members = annotations === undefined || annotations.isEmpty ? undefined : annotations.anyMembers();
  for (const [key, value] of members ?? []) {
    if (!key.startsWith(PREFIX) || KNOWN.includes(key)) continue;
    const near = suggest(key, KNOWN) ?? KNOWN.join(' or ');
    value.keyFinding('warning', `the annotation ${key} is not known and has no effect`, `write ${near}`);
  }
  const caValue = members?.get(CA_SECRET);
  const caName = caValue?.text();
  const verifyValue = members?.get(VERIFY);
  const verify = readVerify(verifyValue);
  if (caValue !== undefined && caName !== undefined && !/^[^/\s]+\/[^/\s]+$/.test(caName)) {
    caValue.error(`'${caName}' is not namespace/name`, 'name the Secret that holds ca.crt, say default/web-ca');
    return { tls: undefined, caSecret: undefined, values: [] };
  }
  const tls = {
    ...(caName === undefined ? {} : { ca: { secret: caName, file: undefined } }),
    ...(verify === undefined ? {} : { verify }),
  };
  return {
    tls: Object.keys(tls).length === 0 ? undefined : tls,
    caSecret: caValue === undefined || caName === undefined ? undefined : { name: caName, value: caValue },
    values: [caValue, verifyValue].filter((value) => value !== undefined),
  };
}

/** Adds them to a `tls` group; one that isn't there is made only where `always`. */
export function withAnnotations(
  tls: UpstreamTls | undefined,
  annotations: TlsAnnotations,
  always: boolean,
): UpstreamTls | undefined {
  if (annotations.tls === undefined || (tls === undefined && !always)) return tls;
  return UpstreamTls.fromPartial({ ...tls, ...annotations.tls });
}

function readVerify(value: Value | undefined): boolean | undefined {
  const given = value?.scalar();
  if (value === undefined) return undefined;
  if (given === 'true' || given === 'false') return given === 'true';
  value.error(`must be "true" or "false"`, 'write it in quotes: an annotation is a text');
  return undefined;
}
