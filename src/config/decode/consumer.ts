import type { Consumer, KeyAuthCredential } from '../../gen/outrigger/config/v1/gateway.ts';
import { entry, keyed, member, type ProblemList, quote } from '../problem-list.ts';
import { REDACTED } from '../redact.ts';
import { checkName, checkText, idProblem, usernameProblem } from './gateway-values.ts';
import { checkLimitCount } from './limit-count.ts';
import { checkLabels } from './values.ts';

/** Label whose value endpoints get in a field (APISIX). */
export const CUSTOM_ID_LABEL = 'custom_id';

/** References to secrets of APISIX, in any case. */
const REFERENCE = /^\$(?:env|secret):\/\//i;

/** Checks a Consumer. Never says what its keys are; whether another Consumer has one of them isn't looked at. */
export function checkConsumer(message: Consumer, problems: ProblemList, name: string): void {
  checkName(problems, name, usernameProblem);
  checkText(problems, 'desc', message.desc);
  checkLabels(problems, 'labels', message.labels);
  const customId = message.labels[CUSTOM_ID_LABEL] ?? '';
  if (/[\u0000-\u001f\u007f]/.test(customId)) {
    problems.add(keyed('labels', CUSTOM_ID_LABEL), 'is sent in a field: it must have no control characters');
  }
  const { plugins, credentials } = message;
  const keys = new Map<string, string>();
  if (plugins?.keyAuth !== undefined) checkKey(plugins.keyAuth, keys, problems, 'plugins.key_auth');
  if (plugins?.limitCount !== undefined) checkLimitCount(plugins.limitCount, problems, 'plugins.limit_count');
  const ids = new Map<string, number>();
  for (const [i, credential] of credentials.entries()) {
    const path = entry('credentials', i);
    const reason = idProblem(credential.id);
    const earlier = ids.get(credential.id);
    if (reason !== undefined) problems.add(member(path, 'id'), reason);
    else if (earlier === undefined) ids.set(credential.id, i);
    else problems.add(member(path, 'id'), `${quote(credential.id)} is the id of credentials[${earlier}] already`);
    checkText(problems, member(path, 'desc'), credential.desc);
    checkLabels(problems, member(path, 'labels'), credential.labels);
    if (credential.keyAuth === undefined) problems.add(member(path, 'key_auth'), 'required: its key');
    else checkKey(credential.keyAuth, keys, problems, member(path, 'key_auth'));
  }
}

/** `keys`: where each key stands that was seen before. */
function checkKey({ key }: KeyAuthCredential, keys: Map<string, string>, problems: ProblemList, parent: string): void {
  const path = member(parent, 'key');
  const reference = REFERENCE.exec(key)?.[0];
  const earlier = keys.get(key);
  if (key === '') problems.add(path, 'required: the key, not empty');
  else if (key === REDACTED) problems.add(path, 'is the mark of a key that was taken out: give the key itself');
  else if (reference !== undefined) problems.add(path, `'${reference}' is not supported yet: give the key itself`);
  else if (earlier !== undefined) problems.add(path, `is the same as ${earlier}`);
  else keys.set(key, path);
}
