import type { Route, RouteTimeout } from '../../gen/outrigger/config/v1/gateway.ts';
import { canonicalBlock } from '../../base/ip-address.ts';
import { member, type ProblemList } from '../problem-list.ts';
import { uriProblem } from '../uri-pattern.ts';
import { parseVars } from '../vars.ts';
import {
  check,
  checkEach,
  checkHosts,
  checkName,
  checkText,
  checkUpstreamChoice,
  idProblem,
  methodProblem,
} from './gateway-values.ts';
import { checkPlugins } from './plugins.ts';
import { blockProblem, checkLabels, checkRange, checkSeconds } from './values.ts';

/** Checks a Route. Whether what it names is there isn't looked at: that may come and go. */
export function checkRoute(message: Route, problems: ProblemList, name: string): void {
  checkName(problems, name, idProblem);
  checkText(problems, 'display_name', message.displayName);
  checkText(problems, 'desc', message.desc);
  checkLabels(problems, 'labels', message.labels);
  if (message.uris.length === 0) problems.add('uris', 'required: at least one path that starts with /');
  checkEach(problems, 'uris', message.uris, uriProblem);
  checkHosts(problems, message.hosts);
  checkEach(problems, 'methods', message.methods, methodProblem);
  checkEach(problems, 'remote_addrs', message.remoteAddrs, blockProblem, (block) => canonicalBlock(block) ?? block);
  if (message.vars !== undefined) {
    const vars = parseVars(message.vars, 'vars');
    if (!vars.ok) for (const { path, reason } of vars.problems) problems.add(path, reason);
  }
  checkRange(problems, 'status', message.status, 0, 1);
  checkPlugins(message.plugins, problems, 'plugins');
  check(problems, 'plugin_config_id', message.pluginConfigId, idProblem);
  check(problems, 'service_id', message.serviceId, idProblem);
  checkUpstreamChoice(problems, message);
  if (message.timeout !== undefined) checkTimeout(message.timeout, problems);
}

/** All three stand together, as in APISIX. */
function checkTimeout(timeout: RouteTimeout, problems: ProblemList): void {
  for (const name of ['connect', 'send', 'read'] as const) {
    const path = member('timeout', name);
    if (timeout[name] === undefined) problems.add(path, 'required: connect, send and read stand together, in seconds');
    else checkSeconds(problems, path, timeout[name], { above: 0 });
  }
}
