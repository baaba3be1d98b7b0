// Plugin configs, which Routes share by name, and the metadata of plugins, which is for the whole gateway. Both are
// PluginConfigs on the wire.
import { isPlugin, unknownPlugin } from './plugin-names.ts';
import { makeResource } from './make-resource.ts';
import { pluginPath, readPlugins } from './plugins.ts';
import {
  checkCommon,
  checkFields,
  checkName,
  COMMON_FIELDS,
  type FieldTable,
  type Made,
  type Reading,
  without,
} from './reading.ts';

const CONFIG_FIELDS: FieldTable = { known: [...COMMON_FIELDS, 'name', 'desc', 'labels', 'plugins'] };
const METADATA_FIELDS: FieldTable = {
  known: [...COMMON_FIELDS, 'limit_header', 'remaining_header', 'reset_header'],
};

/** Reads an object of the type `plugin_configs`. */
export function readPluginConfig(reading: Reading): Made {
  const { id, value, problems } = reading;
  checkFields(value, '', CONFIG_FIELDS, problems);
  checkCommon(reading);
  checkName(value, '', problems);
  const { desc, labels, plugins } = value;
  if (plugins === undefined) problems.add('plugins', 'required');
  const specs = plugins === undefined ? undefined : readPlugins(plugins, 'plugins', 'route', problems);
  const spec = { desc, labels, plugins: specs };
  const objectPath = (path: string): string => (path === 'name' ? '' : pluginPath(path));
  return { resources: [makeResource('PluginConfig', id.id, spec, objectPath, problems)], references: [] };
}

/** Reads an object of the type `plugin_metadata`, whose id is the name of the plugin. */
export function readPluginMetadata(reading: Reading): Made {
  const { id, value, problems } = reading;
  if (id.id !== 'limit-count') {
    problems.add('', isPlugin(id.id) ? `plugin [${id.id}] has no metadata` : unknownPlugin(id.id));
    return { resources: [], references: [] };
  }
  checkFields(value, '', METADATA_FIELDS, problems);
  checkCommon(reading);
  const spec = { metadata: { limit_count: without(value, COMMON_FIELDS) } };
  const objectPath = (path: string): string => path.replace(/^metadata(\.limit_count)?\.?|^name$/, '');
  const name = `plugin_metadata/${id.id}`;
  return { resources: [makeResource('PluginConfig', name, spec, objectPath, problems)], references: [] };
}
