// One object of APISIX, from the Admin API or a standalone file, → what is kept of it and what sidecars get.
import { describeType, isObject } from '../../config/envelope.ts';
import { ProblemList } from '../../config/problem-list.ts';
import { readConsumer, readCredential, usernameProblem } from './consumer.ts';
import type { ObjectId, ObjectType } from './object-type.ts';
import { readPluginConfig, readPluginMetadata } from './plugin-config.ts';
import type { ReadResult } from './read-object.ts';
import { idProblem, type Made, type Reading } from './reading.ts';
import { readRoute, readService } from './route.ts';
import { readSsl } from './ssl.ts';
import { tidyObject } from './tidy-object.ts';
import { readUpstreamObject } from './upstream.ts';

const READERS: Readonly<Record<ObjectType, (reading: Reading) => Made>> = {
  routes: readRoute,
  services: readService,
  upstreams: readUpstreamObject,
  consumers: readConsumer,
  credentials: readCredential,
  plugin_configs: readPluginConfig,
  plugin_metadata: readPluginMetadata,
  ssls: readSsl,
};

/**
 * Reads what a JSON or YAML parser made of one object, strictly: what isn't known, or known and not acted on, is a
 * problem with its field path. Keys with blanks around them are tidied, with a warning each. Never throws.
 */
export function readApisixObject(id: ObjectId, value: unknown): ReadResult {
  const problems = new ProblemList();
  const warnings = new ProblemList('warnings');
  const refused = (): ReadResult => ({ ok: false, problems: problems.list(), warnings: warnings.list() });
  const idReason = objectIdProblem(id);
  // A consumer's is its username, which is checked as a field.
  if (idReason !== undefined && id.type !== 'consumers') problems.add('id', idReason);
  if (!isObject(value)) {
    problems.add('', `must be an object, not ${describeType(value)}`);
    return refused();
  }
  const tidied = tidyObject(value, problems, warnings);
  // What stands twice or is too deep would be told again as something else.
  if (problems.size > 0 || !isObject(tidied)) return refused();
  const made = READERS[id.type]({ id, value: tidied, problems, warnings });
  if (problems.size > 0) return refused();
  const { resources, references } = made;
  const object = { ...id, value: tidied, warnings: warnings.list(), resources, references };
  return { ok: true, object };
}

/** What is wrong with the id of an object; undefined if nothing is. */
export function objectIdProblem({ type, id }: ObjectId): string | undefined {
  if (type === 'consumers') return usernameProblem(id);
  if (type !== 'credentials') return idProblem(id);
  const [consumer, own, ...rest] = id.split('/');
  return rest.length > 0 || own === undefined ? 'must be CONSUMER/ID' : (usernameProblem(consumer) ?? idProblem(own));
}
