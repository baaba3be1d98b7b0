import type { Service } from '../../gen/outrigger/config/v1/gateway.ts';
import type { ProblemList } from '../problem-list.ts';
import { checkHosts, checkName, checkText, checkUpstreamChoice, idProblem } from './gateway-values.ts';
import { checkPlugins } from './plugins.ts';
import { checkLabels } from './values.ts';

/** Checks a Service. */
export function checkService(message: Service, problems: ProblemList, name: string): void {
  checkName(problems, name, idProblem);
  checkText(problems, 'display_name', message.displayName);
  checkText(problems, 'desc', message.desc);
  checkLabels(problems, 'labels', message.labels);
  checkHosts(problems, message.hosts);
  checkPlugins(message.plugins, problems, 'plugins');
  checkUpstreamChoice(problems, message);
}
