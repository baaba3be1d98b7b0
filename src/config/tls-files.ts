// The TLS files of the process itself: towards the control planes (`run`), and of the ADS port (`control`). Authorities,
// a certificate and its key, each a path. The certificate and its key are one setting: the first place that names
// either of them names both, so that one place's certificate is never joined with another's key.
import type { ControlTls } from '../gen/outrigger/config/v1/bootstrap.ts';
import { checkPath } from './decode/tls.ts';
import { ProblemList } from './problem-list.ts';
import { describeProblems } from './resource.ts';
import type { Environment, Flags, Origin } from './setting-sources.ts';

/** Paths of PEM files. A certificate file comes with its key file. */
export interface TlsFiles {
  /** Trusted authorities. */
  readonly caFile: string | undefined;
  /** Own certificate chain, leaf first. */
  readonly certificateFile: string | undefined;
  /** Its private key. */
  readonly keyFile: string | undefined;
}

/** Flags of each group, without dashes. The variable of `control-ca` is OUTRIGGER_CONTROL_CA, and so on. */
export const TLS_FILE_FLAGS = {
  control: { caFile: 'control-ca', certificateFile: 'control-cert', keyFile: 'control-key' },
  ads: { caFile: 'ads-client-ca', certificateFile: 'ads-cert', keyFile: 'ads-key' },
} as const;

/** Where each path was written: by whom, and in the words of messages, `--control-ca`. */
export type TlsFilePlaces = { readonly [K in keyof TlsFiles]: { readonly origin: Origin; readonly place: string } };

/** What reading gives; `files` is undefined where nobody asks for TLS. */
export type TlsFilesResult =
  | { readonly ok: true; readonly files: TlsFiles | undefined; readonly places: TlsFilePlaces }
  | { readonly ok: false; readonly reason: string };

/** The message of the bootstrap file, where it has one: TLS is then asked for, also if it names no file. */
export interface TlsFilesMessage {
  readonly message: ControlTls;
  /** `b.yaml: spec.control_tls`. */
  readonly place: string;
}

const MEMBERS = ['caFile', 'certificateFile', 'keyFile'] as const;
type Member = (typeof MEMBERS)[number];
const FIELDS: Readonly<Record<Member, string>> = {
  caFile: 'ca_file',
  certificateFile: 'certificate_file',
  keyFile: 'key_file',
};

/** OUTRIGGER_CONTROL_CA for `control-ca`. */
export function variableOf(flag: string): string {
  return `OUTRIGGER_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** One place that may name files. */
interface Place {
  readonly origin: Origin;
  /** The member in the words of this place. */
  readonly name: (member: Member) => string;
  readonly get: (member: Member) => string | undefined;
}

/** Reads the files of a group: flag > environment > `file`. */
export function readTlsFiles(
  group: keyof typeof TLS_FILE_FLAGS,
  flags: Flags,
  environment: Environment,
  file?: TlsFilesMessage,
): TlsFilesResult {
  const flagOf = TLS_FILE_FLAGS[group];
  const places: Place[] = [
    {
      origin: 'flag',
      name: (member) => `--${flagOf[member]}`,
      get: (member) => {
        const value = flags[flagOf[member]];
        return typeof value === 'string' ? value : undefined;
      },
    },
    {
      origin: 'environment',
      name: (member) => variableOf(flagOf[member]),
      get: (member) => environment[variableOf(flagOf[member])] || undefined, // an empty variable counts as none
    },
  ];
  if (file) {
    places.push({
      origin: 'file',
      name: (member) => `${file.place}.${FIELDS[member]}`,
      get: (member) => file.message[member],
    });
  }
  for (const place of places) {
    const reason = placeProblem(place);
    if (reason !== undefined) return { ok: false, reason };
  }
  const from = (members: readonly Member[]): Place | undefined =>
    places.find((place) => members.some((member) => place.get(member) !== undefined));
  const [authorities, pair] = [from(['caFile']), from(['certificateFile', 'keyFile'])];
  const told = (member: Member, place: Place | undefined): TlsFilePlaces[Member] =>
    place === undefined
      ? { origin: 'default', place: `--${flagOf[member]}` }
      : { origin: place.origin, place: place.name(member) };
  const files: TlsFiles = {
    caFile: authorities?.get('caFile'),
    certificateFile: pair?.get('certificateFile'),
    keyFile: pair?.get('keyFile'),
  };
  return {
    ok: true,
    files: file === undefined && MEMBERS.every((member) => files[member] === undefined) ? undefined : files,
    places: {
      caFile: told('caFile', authorities),
      certificateFile: told('certificateFile', pair),
      keyFile: told('keyFile', pair),
    },
  };
}

/** A path that is none, or half of a pair. */
function placeProblem({ name, get }: Place): string | undefined {
  const problems = new ProblemList();
  for (const member of MEMBERS) checkPath(get(member), problems, name(member));
  for (const [one, other] of [
    ['certificateFile', 'keyFile'],
    ['keyFile', 'certificateFile'],
  ] as const) {
    if (get(one) !== undefined && get(other) === undefined) problems.add(name(one), `needs ${name(other)}`);
  }
  const [first] = problems.list();
  return first && describeProblems([first]);
}
