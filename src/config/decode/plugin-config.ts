import type { LimitCountMetadata, PluginConfig } from '../../gen/outrigger/config/v1/gateway.ts';
import { DEFAULT_QUOTA_FIELDS } from '../../model/gateway.ts';
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

/** Fields that frame an answer or say something else of it, and ours: in the place of one of these a number would break it. */
const TAKEN_FIELDS = [
  'allow',
  'alt-svc',
  'cache-control',
  'connection',
  'date',
  'etag',
  'expect',
  'expires',
  'host',
  'http2-settings',
  'keep-alive',
  'last-modified',
  'location',
  'server',
  'set-cookie',
  'set-cookie2',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'via',
  'www-authenticate',
  'x-outrigger-reason',
  'x-request-id',
];
const TAKEN_FAMILIES = ['access-control-', 'content-', 'grpc-', 'proxy-', 'sec-'];

function quotaFieldProblem(name: string): string | undefined {
  const lower = name.toLowerCase();
  const isTaken = TAKEN_FIELDS.includes(lower) || TAKEN_FAMILIES.some((family) => lower.startsWith(family));
  return isTaken ? `${quote(name)} means something else in an answer: take a name of your own` : fieldNameProblem(name);
}

function checkLimitCountMetadata(names: LimitCountMetadata, problems: ProblemList, path: string): void {
  const { limit, remaining, reset } = DEFAULT_QUOTA_FIELDS;
  const first = new Map<string, string>();
  for (const [field, value, byDefault] of [
    ['limit_header', names.limitHeader, limit],
    ['remaining_header', names.remainingHeader, remaining],
    ['reset_header', names.resetHeader, reset],
  ] as const) {
    check(problems, member(path, field), value, quotaFieldProblem);
    const name = value ?? byDefault;
    const earlier = first.get(name.toLowerCase());
    if (earlier === undefined) first.set(name.toLowerCase(), field);
    else {
      const given = value === undefined ? earlier : field;
      problems.add(member(path, given), `${quote(name)} is the name of ${given === field ? earlier : field} already`);
    }
  }
}
