// `limit-count`, with the bounds of APISIX.
import type { LimitCount, LimitCountRule } from '../../gen/outrigger/config/v1/gateway.ts';
import { parseTemplate, type TemplatePart } from '../../model/key-template.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import { bareVariable, check, fieldNameProblem, variableProblem } from './gateway-values.ts';
import { checkRange, checkWord } from './values.ts';

type TemplateVariable = Extract<TemplatePart, { readonly kind: 'variable' }>;

const WINDOW_TYPES = ['fixed', 'sliding'];
const KEY_TYPES = ['var', 'var_combination', 'constant'];
const POLICIES = ['local'];
const PLANNED_POLICIES = ['redis', 'redis-cluster', 'redis-sentinel'];

/** Variables whose values always have something else in them than digits. */
const NEVER_NUMBERS = [
  'uri',
  'document_uri',
  'request_uri',
  'is_args',
  'server_name',
  'server_addr',
  'server_protocol',
  'remote_addr',
  'scheme',
  'https',
];

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
  const keys = new Map<string, number>();
  const prefixes = new Map<string, number>();
  for (const [i, rule] of plugin.rules.entries()) {
    const at = entry(member(path, 'rules'), i);
    checkRule(rule, problems, at);
    const earlier = keys.get(rule.key);
    if (earlier === undefined) keys.set(rule.key, i);
    else problems.add(member(at, 'key'), `${quote(rule.key)} is the key of rules[${earlier}] already`);
    // Rules without a prefix are counted from 1.
    const prefix = rule.headerPrefix ?? `${i + 1}`;
    const other = prefixes.get(prefix.toLowerCase());
    if (other === undefined) prefixes.set(prefix.toLowerCase(), i);
    else problems.add(member(at, 'header_prefix'), `${quote(prefix)} is the prefix of rules[${other}] already`);
  }
}

function checkRule(rule: LimitCountRule, problems: ProblemList, path: string): void {
  if (rule.key === '') problems.add(member(path, 'key'), 'required: a template such as $remote_addr');
  else check(problems, member(path, 'key'), rule.key, templateProblem);
  checkQuantity(problems, member(path, 'count'), rule.count === '' ? undefined : rule.count, true);
  checkQuantity(problems, member(path, 'time_window'), rule.timeWindow === '' ? undefined : rule.timeWindow, true);
  check(problems, member(path, 'header_prefix'), rule.headerPrefix, prefixProblem);
}

/** It stands in the middle of the fields' names. */
function prefixProblem(prefix: string): string | undefined {
  if (prefix.length > 64) return `${quote(prefix)} must have at most 64 characters`;
  return fieldNameProblem(prefix);
}

function checkQuantity(problems: ProblemList, path: string, text: string | undefined, isRequired: boolean): void {
  if (text !== undefined) check(problems, path, text, quantityProblem);
  else if (isRequired) problems.add(path, `required: ${QUANTITY}`);
}

const QUANTITY = `a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, or a template that gives one, such as $http_quota`;

/** A template is wrong if no request could make a number of it. */
function quantityProblem(text: string): string | undefined {
  const parts = parseTemplate(text);
  const variables = parts.filter(isVariablePart);
  if (variables.length === 0) {
    if (/^[1-9]\d*$/.test(text) && Number(text) <= Number.MAX_SAFE_INTEGER) return undefined;
    return `must be ${QUANTITY}, not ${quote(text)}`;
  }
  if (!/^\d*$/.test(filled(parts, () => ''))) {
    return `${quote(text)} never gives a whole number: digits alone may stand beside variables`;
  }
  for (const { name, fallback } of variables) {
    const reason = variableProblem(name);
    if (reason !== undefined) return reason;
    if (NEVER_NUMBERS.includes(name)) return `${quote(`$${name}`)} never gives a whole number`;
    if (fallback !== undefined && !/^\d+$/.test(fallback)) {
      return `${quote(`\${${name} ?? ${fallback}}`)}: what stands behind ?? must be a whole number`;
    }
  }
  if (variables.some(({ fallback }) => fallback === undefined)) return undefined;
  const byDefault = filled(parts, ({ fallback }) => fallback ?? '');
  if (byDefault.length <= 16 && Number(byDefault) >= 1 && Number(byDefault) <= Number.MAX_SAFE_INTEGER)
    return undefined;
  return `${quote(text)} comes to ${quote(byDefault)} by default: must be from 1 to ${Number.MAX_SAFE_INTEGER}`;
}

/** The template with a text in the place of each of its variables. */
function filled(parts: readonly TemplatePart[], textOf: (variable: TemplateVariable) => string): string {
  return parts.map((part) => (part.kind === 'text' ? part.text : textOf(part))).join('');
}

function isVariablePart(part: TemplatePart): part is TemplateVariable {
  return part.kind === 'variable';
}

/** What is wrong with a template whose value callers are told apart by. */
function templateProblem(template: string): string | undefined {
  const variables = parseTemplate(template).filter(isVariablePart);
  if (variables.length === 0) {
    const isName = variableProblem(template) === undefined;
    const hint = isName ? `: did you mean ${quote(`$${template}`)}?` : ', such as $remote_addr';
    return `${quote(template)} has no variable in it${hint}`;
  }
  for (const { name } of variables) {
    const reason = variableProblem(name);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function keyProblem(key: string, keyType: string): string | undefined {
  if (key === '') return 'must not be empty: leave it out for remote_addr';
  if (keyType === 'var_combination') return templateProblem(key);
  if (keyType !== 'var') return undefined;
  const reason = variableProblem(key);
  if (reason === undefined || !/\$\{?\s*\w/.test(key)) return reason;
  return `${quote(key)}: a variable stands without its dollar sign (${quote(bareVariable(key))}), a template with key_type: var_combination`;
}
