// Consumers of APISIX and their credentials. Both together are one resource, so that a sidecar never has half of what a
// consumer may show: join-consumer.ts.
import { describeType, isObject } from '../../config/envelope.ts';
import { type ProblemList, quote } from '../../config/problem-list.ts';
import type { JsonObject } from '../store/store.ts';
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
} from './reading.ts';

const CONSUMER_FIELDS: FieldTable = {
  known: [...COMMON_FIELDS, 'username', 'desc', 'labels', 'plugins'],
  refused: new Map([['group_id', 'write the plugins of the group into the consumer']]),
};
const CREDENTIAL_FIELDS: FieldTable = { known: [...COMMON_FIELDS, 'name', 'desc', 'labels', 'plugins'] };

const USERNAME = /^[A-Za-z0-9_-]{1,256}$/;

/** What is wrong with the name of a consumer; undefined if nothing is. */
export function usernameProblem(name: unknown): string | undefined {
  if (name === undefined) return 'required';
  if (typeof name !== 'string') return `must be a string, not ${describeType(name)}`;
  return USERNAME.test(name) ? undefined : `${quote(name)} must be 1 to 256 of letters, digits, '-' and '_'`;
}

/** Reads an object of the type `consumers`, without its credentials. */
export function readConsumer(reading: Reading): Made {
  const { id, value, problems } = reading;
  checkFields(value, '', CONSUMER_FIELDS, problems);
  checkCommon(reading);
  const reason = usernameProblem(value['username']);
  if (reason !== undefined) problems.add('username', reason);
  else if (value['username'] !== id.id) {
    problems.add(
      'username',
      `must be ${quote(id.id)}, under which the consumer is written, not ${quote(String(value['username']))}`,
    );
  }
  const spec = consumerSpec(value, problems);
  const consumer = makeResource(
    'Consumer',
    id.id,
    spec,
    (path) => (path === 'name' ? 'username' : pluginPath(path)),
    problems,
  );
  return { resources: [consumer], references: [] };
}

/** Reads an object of the type `credentials`; it makes no resource of its own. */
export function readCredential(reading: Reading): Made {
  const { id, value, problems } = reading;
  checkFields(value, '', CREDENTIAL_FIELDS, problems);
  checkCommon(reading);
  checkName(value, '', problems);
  const [consumer = '', own = ''] = id.id.split('/');
  const { plugins } = value;
  if (plugins === undefined) problems.add('plugins', 'required: key-auth with a key');
  else if (isObject(plugins) && Object.keys(plugins).length !== 1) {
    problems.add('plugins', 'must hold exactly one plugin, key-auth');
  }
  const spec = credentialSpec(own, value, problems);
  // What is said of a key that is missing has been said of its plugin.
  if (spec['key_auth'] !== undefined || problems.size === 0) {
    makeResource('Consumer', consumer, { credentials: [spec] }, credentialPath, problems);
  }
  return { resources: [], references: [{ type: 'consumers', id: consumer, path: '' }] };
}

/** The fields of the message, but for credentials. */
export function consumerSpec(value: JsonObject, problems: ProblemList): Readonly<Record<string, unknown>> {
  const { desc, labels, plugins } = value;
  return {
    desc,
    labels,
    plugins: plugins === undefined ? undefined : readPlugins(plugins, 'plugins', 'consumer', problems),
  };
}

/** The fields of one credential in it. */
export function credentialSpec(
  id: string,
  { desc, labels, plugins }: JsonObject,
  problems: ProblemList,
): Readonly<Record<string, unknown>> {
  const specs = plugins === undefined ? undefined : readPlugins(plugins, 'plugins', 'credential', problems);
  return { id, desc, labels, key_auth: specs?.['key_auth'] };
}

function credentialPath(path: string): string {
  const own = /^credentials\[0\]\.?(.*)$/.exec(path)?.[1];
  if (own === undefined) return path === 'name' || path === 'credentials' ? '' : path;
  return own.replace(/^key_auth(?!\w)/, 'plugins.key-auth');
}
