// `type` and what goes with it. The rules of the hash key are APISIX's, with its typing error in the range of argument names
// (`A-z`) mended.
import { member, type ProblemList, quote } from '../problem-list.ts';
import { didYouMean } from '../suggest.ts';
import type { PolicyFields } from './upstream.ts';
import { checkWord } from './values.ts';

const TYPES = ['roundrobin', 'chash', 'ewma', 'least_conn'];
const HASH_ON = ['vars', 'header', 'cookie', 'consumer', 'vars_combinations'];
const EWMA_FORMULAS = ['peak', 'apisix'];

/** Variables that `hash_on: vars` takes, beside `arg_NAME`. */
const HASH_VARIABLES = [
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

/** Checks how the endpoints of one level are chosen. A key is looked at only beside `chash`, as in APISIX. */
export function checkBalancing(policy: PolicyFields, problems: ProblemList, path: string): void {
  const at = (name: string): string => member(path, name);
  checkWord(problems, at('type'), policy.type, TYPES);
  checkWord(problems, at('hash_on'), policy.hashOn, HASH_ON);
  checkWord(problems, at('ewma_formula'), policy.ewmaFormula, EWMA_FORMULAS);
  const factor = policy.hashBalanceFactor;
  if (factor !== undefined && factor !== 0 && factor < 100) {
    problems.add(at('hash_balance_factor'), `must be 0 (no bound) or 100 percent and more, not ${factor}`);
  }
  if (policy.type !== 'chash') return;
  const reason = hashKeyProblem(policy.hashOn ?? 'vars', policy.key ?? '');
  if (reason !== undefined) problems.add(at('key'), reason);
}

/** What is wrong with the key of `chash`; undefined if nothing is, and for a word of `hash_on` that isn't known. */
function hashKeyProblem(hashOn: string, key: string): string | undefined {
  if (hashOn === 'consumer' || !HASH_ON.includes(hashOn)) return undefined;
  if (key === '') return `missing key: type chash with hash_on ${hashOn} needs what is hashed, ${KEY_EXAMPLES[hashOn]}`;
  if (hashOn === 'header' || hashOn === 'cookie') {
    if (/^[A-Za-z0-9_-]+$/.test(key)) return undefined;
    return `${quote(key)} is no name of a ${hashOn}: letters, digits, - and _ are allowed`;
  }
  if (hashOn === 'vars_combinations' || HASH_VARIABLES.includes(key) || /^arg_[A-Za-z0-9_-]+$/.test(key))
    return undefined;
  if (key.startsWith('arg_')) return `${quote(key)}: after arg_ stands a name of letters, digits, - and _`;
  return `${quote(key)} is none of ${HASH_VARIABLES.join(', ')} and no arg_NAME${didYouMean(key, HASH_VARIABLES)}`;
}

const KEY_EXAMPLES: Readonly<Record<string, string>> = {
  vars: 'remote_addr for example',
  header: 'the name of the header',
  cookie: 'the name of the cookie',
  vars_combinations: '$remote_addr$uri for example',
};
