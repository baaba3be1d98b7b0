import type { LimitCountMetadata, PluginConfig } from '../../gen/outrigger/config/v1/gateway.ts';
import { member, type ProblemList, quote } from '../problem-list.ts';
import { didYouMean } from '../suggest.ts';
import { check, checkName, checkText, fieldNameProblem, idProblem } from './gateway-values.ts';
import { checkPlugins, PLUGIN_NAMES } from './plugins.ts';
import { checkLabels } from './values.ts';

/** What names of PluginConfigs begin with that hold metadata of a plugin. */
export const METADATA_PREFIX = 'plugin_metadata/';

/** Plugins that have metadata. */
const WITH_METADATA = ['limit-count'];

/** Checks a PluginConfig: plugins that Routes share, or metadata of one plugin. */
export function checkPluginConfig(message: PluginConfig, problems: ProblemList, name: string): void {
  checkText(problems, 'desc', message.desc);
  checkLabels(problems, 'labels', message.labels);
  if (name.startsWith(METADATA_PREFIX)) {
    checkMetadata(message, problems, name.slice(METADATA_PREFIX.length));
    return;
  }
  checkName(problems, name, idProblem);
  checkPlugins(message.plugins, problems, 'plugins');
  if (message.metadata !== undefined) {
    problems.add('metadata', `only in a PluginConfig that is named ${METADATA_PREFIX} and the name of a plugin`);
  }
}

function checkMetadata({ plugins, metadata }: PluginConfig, problems: ProblemList, plugin: string): void {
  if (!WITH_METADATA.includes(plugin)) {
    const reason = PLUGIN_NAMES.includes(plugin)
      ? `${quote(plugin)} has no metadata; ${WITH_METADATA.join(', ')} has`
      : `there is no plugin ${quote(plugin)}${didYouMean(plugin, PLUGIN_NAMES)}`;
    problems.add('name', reason);
    return;
  }
  if (plugins !== undefined) problems.add('plugins', 'not beside metadata: put them into a PluginConfig of their own');
  if (metadata?.limitCount === undefined) problems.add('metadata.limit_count', 'required: the metadata of limit-count');
  else checkLimitCountMetadata(metadata.limitCount, problems, 'metadata.limit_count');
}

function checkLimitCountMetadata(names: LimitCountMetadata, problems: ProblemList, path: string): void {
  check(problems, member(path, 'limit_header'), names.limitHeader, fieldNameProblem);
  check(problems, member(path, 'remaining_header'), names.remainingHeader, fieldNameProblem);
  check(problems, member(path, 'reset_header'), names.resetHeader, fieldNameProblem);
}
