// Checks of single values that Routes, Services, PluginConfigs and Consumers have in common.
import { isVariable, VARIABLE_NAMES, variablePrefix } from '../../model/variable-names.ts';
import { entry, type ProblemList, quote } from '../problem-list.ts';
import { canonicalRouteHost, routeHostProblem } from '../route-host.ts';
import { didYouMean } from '../suggest.ts';
import { checkPort, nameProblem } from './values.ts';

/** What is wrong with an id (APISIX `id`): 1 to 64 of letters, digits, `-`, `_` and `.`. */
export function idProblem(id: string): string | undefined {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(id)) return undefined;
  if (id === '') return 'required: an id';
  if (id.length > 64) return `${quote(id)} must have at most 64 characters`;
  return `${quote(id)} is no id: letters, digits, -, _ and . are allowed`;
}

/** What is wrong with the name of a consumer (APISIX `username`): 1 to 256 of letters, digits, `-` and `_`. */
export function usernameProblem(name: string): string | undefined {
  if (/^[A-Za-z0-9_-]{1,256}$/.test(name)) return undefined;
  if (name === '') return 'required: the name of a consumer';
  if (name.length > 256) return `${quote(name)} must have at most 256 characters`;
  return `${quote(name)} is no name of a consumer: letters, digits, - and _ are allowed`;
}

/** The name of a resource, by a rule of its kind. What no resource may be called has been told already. */
export function checkName(problems: ProblemList, name: string, problemOf: (name: string) => string | undefined): void {
  if (nameProblem(name) === undefined) check(problems, 'name', name, problemOf);
}

/** A value that may be left out, by a rule that says what is wrong with it. */
export function check(
  problems: ProblemList,
  path: string,
  value: string | undefined,
  problemOf: (value: string) => string | undefined,
): void {
  const reason = value === undefined ? undefined : problemOf(value);
  if (reason !== undefined) problems.add(path, reason);
}

/** A text for people: at most 256 characters. */
export function checkText(problems: ProblemList, path: string, text: string | undefined): void {
  if (text !== undefined && text.length > 256 && Array.from(text).length > 256) {
    problems.add(path, 'must have at most 256 characters');
  }
}

/** Each entry of a list by a rule, and none twice; `spelling` is how they are compared. */
export function checkEach(
  problems: ProblemList,
  path: string,
  list: readonly string[],
  problemOf: (value: string) => string | undefined,
  spelling: (value: string) => string = (value) => value,
): void {
  const seen = list.length > 1 ? new Set<string>() : undefined;
  for (const [i, value] of list.entries()) {
    const reason = problemOf(value);
    if (reason !== undefined) problems.add(entry(path, i), reason);
    else if (seen !== undefined) {
      const spelled = spelling(value);
      if (seen.has(spelled)) problems.add(entry(path, i), `${quote(value)} is there twice`);
      seen.add(spelled);
    }
  }
}

/** `hosts`. */
export function checkHosts(problems: ProblemList, hosts: readonly string[]): void {
  checkEach(problems, 'hosts', hosts, routeHostProblem, canonicalRouteHost);
}

/** `upstream_id` and the `service_port` of that. */
export function checkUpstreamChoice(
  problems: ProblemList,
  { upstreamId, servicePort }: { readonly upstreamId?: string | undefined; readonly servicePort?: number | undefined },
): void {
  check(problems, 'upstream_id', upstreamId, nameProblem);
  if (servicePort === undefined || servicePort === 0) return;
  checkPort(problems, 'service_port', servicePort);
  if (upstreamId === undefined) {
    problems.add('service_port', 'only beside upstream_id: name the Upstream whose service port it is');
  }
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** Longest name of a field; no field that is in use comes near it. */
const MAX_FIELD_NAME = 256;

/** What is wrong with the name of a field (RFC 9110 section 5.1). */
export function fieldNameProblem(name: string): string | undefined {
  if (name.length > MAX_FIELD_NAME) return `${quote(name)} must have at most ${MAX_FIELD_NAME} characters`;
  if (TOKEN.test(name)) return undefined;
  if (name === '') return 'must not be empty: leave it out for its default';
  return `${quote(name)} is no name of a field: letters, digits, - and _ are`;
}

/** What is wrong with a method (RFC 9110 section 9.1). */
export function methodProblem(method: string): string | undefined {
  if (method === '') return 'required: a method; for any method leave the list out';
  if (!TOKEN.test(method)) return `${quote(method)} is no method`;
  const upper = method.toUpperCase();
  return method === upper ? undefined : `${quote(method)}: methods are in upper case: write ${quote(upper)}`;
}

/** Variables of APISIX that this version doesn't have; behind some of these stands a name. */
const NOT_SUPPORTED_VARIABLE = /^(?:post_arg_|graphql_|uri_param_)/;

/** What is wrong with the name of a variable of a request. One that doesn't exist would have no value in any request. */
export function variableProblem(name: string): string | undefined {
  if (name === '' || name === '$') return 'must be the name of a variable, such as arg_name';
  if (name.startsWith('$')) return `${quote(name)} must stand without its dollar sign: ${quote(bareVariable(name))}`;
  if (/[\u0000-\u0020\u007f]/.test(name)) return `${quote(name)} must have no blanks or control characters`;
  const prefix = variablePrefix(name);
  if (prefix !== undefined && name === prefix) return `${quote(name)}: a name must stand behind ${prefix}`;
  if (prefix === 'http_' && !TOKEN.test(name.slice(prefix.length))) {
    return `${quote(name)}: behind http_ stands the name of a field, of letters, digits, - and _`;
  }
  if (name === 'mqtt_client_id') return `${quote(name)} belongs to streams of MQTT, which a gateway doesn't carry`;
  if (isVariable(name)) return undefined;
  if (NOT_SUPPORTED_VARIABLE.test(name)) return `the variable ${quote(name)} is not supported yet`;
  const lower = name.toLowerCase();
  const hint = isVariable(lower) ? `: did you mean '${lower}'?` : didYouMean(name, VARIABLE_NAMES);
  return `there is no variable ${quote(name)}${hint === '' ? PREFIX_HINT : hint}`;
}

const PREFIX_HINT = ': write http_NAME for a field, cookie_NAME for a cookie, arg_NAME for an argument of the query';

/** The name of the first variable in a template: of `$name`, `${name}` and `${name ?? default}` just the name. */
export function bareVariable(template: string): string {
  return /\$\{?\s*([^\s${}?]*)/.exec(template)?.[1] ?? template;
}
