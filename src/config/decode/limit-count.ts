// `limit-count`, with the bounds of APISIX.
import type { LimitCount, LimitCountRule } from '../../gen/outrigger/config/v1/gateway.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import { check, fieldNameProblem } from './gateway-values.ts';
import { checkRange, checkWord } from './values.ts';

const WINDOW_TYPES = ['fixed', 'sliding'];
const KEY_TYPES = ['var', 'var_combination', 'constant'];
const POLICIES = ['local'];
const PLANNED_POLICIES = ['redis', 'redis-cluster', 'redis-sentinel'];

/** A variable in a template: `$name` or `${name}`, with `?? default` in braces. */
const VARIABLE = /(?<!\\)\$(?:\{\s*([^}]+?)\s*\}|[\w.]+)/g;

/** Checks a `limit-count`. One that is switched off needs no limit. */
export function checkLimitCount(plugin: LimitCount, problems: ProblemList, path: string): void {
  const at = (name: string): string => member(path, name);
  if (plugin.rules.length > 0) checkRules(plugin, problems, path);
  else {
    const isRequired = plugin.disabled !== true;
    checkQuantity(problems, at('count'), plugin.count, isRequired);
    checkQuantity(problems, at('time_window'), plugin.timeWindow, isRequired);
  }
  checkWord(problems, at('window_type'), plugin.windowType, WINDOW_TYPES);
  checkWord(problems, at('key_type'), plugin.keyType, KEY_TYPES);
  const keyType = plugin.keyType ?? 'var';
  check(problems, at('key'), plugin.key, (key) => keyProblem(key, keyType));
  checkRange(problems, at('rejected_code'), plugin.rejectedCode, 200, 599);
  if (plugin.rejectedMsg === '')
    problems.add(at('rejected_msg'), 'must not be empty: leave it out for a page of our own');
  checkWord(problems, at('policy'), plugin.policy, POLICIES, PLANNED_POLICIES);
  if (plugin.group === '') problems.add(at('group'), 'must not be empty: leave it out for counters of its own');
}

function checkRules(plugin: LimitCount, problems: ProblemList, path: string): void {
  for (const name of ['count', 'time_window', 'group'] as const) {
    const value = name === 'time_window' ? plugin.timeWindow : plugin[name];
    if (value !== undefined) problems.add(member(path, name), 'not together with rules: leave one of them out');
  }
  const first = new Map<string, number>();
  for (const [i, rule] of plugin.rules.entries()) {
    const at = entry(member(path, 'rules'), i);
    checkRule(rule, problems, at);
    const earlier = first.get(rule.key);
    if (earlier === undefined) first.set(rule.key, i);
    else problems.add(member(at, 'key'), `${quote(rule.key)} is the key of rules[${earlier}] already`);
  }
}

function checkRule(rule: LimitCountRule, problems: ProblemList, path: string): void {
  if (rule.key === '') problems.add(member(path, 'key'), 'required: a template such as $remote_addr');
  checkQuantity(problems, member(path, 'count'), rule.count === '' ? undefined : rule.count, true);
  checkQuantity(problems, member(path, 'time_window'), rule.timeWindow === '' ? undefined : rule.timeWindow, true);
  check(problems, member(path, 'header_prefix'), rule.headerPrefix, fieldNameProblem);
}

function checkQuantity(problems: ProblemList, path: string, text: string | undefined, isRequired: boolean): void {
  if (text !== undefined) check(problems, path, text, quantityProblem);
  else if (isRequired) problems.add(path, `required: ${QUANTITY}`);
}

const QUANTITY = `a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, or a template that gives one, such as $http_quota`;

/** A template is wrong if no request could make a number of it. */
function quantityProblem(text: string): string | undefined {
  const variables = [...text.matchAll(VARIABLE)];
  if (variables.length === 0) {
    if (/^[1-9]\d*$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER) return undefined;
    return `must be ${QUANTITY}, not ${quote(text)}`;
  }
  const plain = text.replace(VARIABLE, '');
  if (!/^\d*$/.test(plain)) return `${quote(text)} never gives a whole number: digits alone may stand beside variables`;
  for (const [variable, inBraces = ''] of variables) {
    const fallback = /\s*\?\?\s*(.*)$/s.exec(inBraces)?.[1];
    if (fallback !== undefined && !/^\d+$/.test(fallback)) {
      return `${quote(variable)}: what stands behind ?? must be a whole number`;
    }
  }
  return undefined;
}

function keyProblem(key: string, keyType: string): string | undefined {
  if (key === '') return 'must not be empty: leave it out for remote_addr';
  if (keyType !== 'var') return undefined;
  if (key.startsWith('$')) {
    return `${quote(key)}: a variable stands without its dollar sign (${quote(key.replace(/^\$/, ''))}), a template with key_type: var_combination`;
  }
  return /[\u0000-\u0020\u007f]/.test(key) ? `${quote(key)} must have no blanks or control characters` : undefined;
}
