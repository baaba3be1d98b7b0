// What a configuration may say in `hash_on` and `key`: for whoever judges configurations.
import { parseTemplate } from './key-template.ts';
import { compileVariable } from './request-variables.ts';

/** Words of `hash_on`. */
export const HASH_ON_WORDS: readonly string[] = ['vars', 'header', 'cookie', 'consumer', 'vars_combinations'];

/** What `key` may be with `hash_on: vars`, beside `arg_NAME` (APISIX's list). */
export const HASH_VARIABLES: readonly string[] = [
  'uri',
  'server_name',
  'server_addr',
  'request_uri',
  'remote_port',
  'remote_addr',
  'query_string',
  'host',
  'hostname',
  'mqtt_client_id',
];

/** The range `A-z` is APISIX's own: it lets in six signs that stand between the letters. */
const ARGUMENT = /^arg_[0-9A-z_-]+$/;
const NAME = /^[a-zA-Z0-9_-]+$/;

/** Fields of an upstream, as far as the hash key goes; an empty key is none. */
export interface HashKeyFields {
  readonly type: string;
  readonly hashOn: string;
  readonly key: string;
}

/**
 * What is wrong with a hash key; undefined if nothing is. The key counts only with `type: chash` (APISIX doesn't look at it
 * otherwise). A template must name variables that exist: in APISIX an unknown one is silently empty.
 */
export function hashKeyProblem({ type, hashOn, key }: HashKeyFields): string | undefined {
  if (!HASH_ON_WORDS.includes(hashOn)) return `unknown hash_on \`${hashOn}\`: it is one of ${HASH_ON_WORDS.join(', ')}`;
  if (type !== 'chash' || hashOn === 'consumer') return undefined;
  if (key === '') return `missing key: chash needs one with hash_on ${hashOn}`;
  switch (hashOn) {
    case 'vars':
      if (HASH_VARIABLES.includes(key) || ARGUMENT.test(key)) return undefined;
      return `the key with hash_on vars is one of ${HASH_VARIABLES.join(', ')} or arg_NAME, not \`${key}\``;
    case 'vars_combinations':
      return templateProblem(key);
    default:
      if (NAME.test(key)) return undefined;
      return `the key with hash_on ${hashOn} is a name of letters, digits, \`-\` and \`_\`, not \`${key}\``;
  }
}

function templateProblem(template: string): string | undefined {
  for (const part of parseTemplate(template)) {
    if (part.kind === 'variable' && compileVariable(part.name) === undefined) {
      return `unknown variable \`${part.name}\` in the key`;
    }
  }
  return undefined;
}
