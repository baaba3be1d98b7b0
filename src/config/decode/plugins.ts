import type { KeyAuth, Plugins } from '../../gen/outrigger/config/v1/gateway.ts';
import { member, type ProblemList, quote } from '../problem-list.ts';
import { check, fieldNameProblem, usernameProblem } from './gateway-values.ts';
import { checkLimitCount } from './limit-count.ts';

/** The plugins that this version has, by the names of APISIX. */
export const PLUGIN_NAMES: readonly string[] = ['key-auth', 'limit-count'];

/** Checks the plugins of a Route, Service or PluginConfig. */
export function checkPlugins(plugins: Plugins | undefined, problems: ProblemList, path: string): void {
  if (plugins?.keyAuth !== undefined) checkKeyAuth(plugins.keyAuth, problems, member(path, 'key_auth'));
  if (plugins?.limitCount !== undefined) checkLimitCount(plugins.limitCount, problems, member(path, 'limit_count'));
}

function checkKeyAuth(plugin: KeyAuth, problems: ProblemList, path: string): void {
  check(problems, member(path, 'header'), plugin.header, keyHeaderProblem);
  check(problems, member(path, 'query'), plugin.query, argumentProblem);
  check(problems, member(path, 'realm'), plugin.realm, realmProblem);
  check(problems, member(path, 'anonymous_consumer'), plugin.anonymousConsumer, usernameProblem);
}

/** Fields that belong to a connection or frame a message (RFC 9110 section 7.6.1, RFC 9112): none reaches a plugin. */
const KEYLESS_FIELDS = [
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

function keyHeaderProblem(name: string): string | undefined {
  if (!KEYLESS_FIELDS.includes(name.toLowerCase())) return fieldNameProblem(name);
  return `${quote(name)} can't carry a key: it speaks of the connection or the message`;
}

function argumentProblem(name: string): string | undefined {
  if (name === '') return 'must not be empty: leave it out for its default';
  return /[\u0000-\u001f\u007f]/.test(name) ? `${quote(name)} must have no control characters` : undefined;
}

/** It stands in quotes in a field. */
function realmProblem(realm: string): string | undefined {
  if (realm === '') return 'must not be empty: leave it out for its default';
  if (realm.length > 128) return `${quote(realm)} must have at most 128 characters`;
  if (/^[ !#-[\]-~]+$/.test(realm)) return undefined;
  return `${quote(realm)} must have printable ASCII characters only, without " and \\`;
}
