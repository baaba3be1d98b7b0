import { invariant } from '../../base/assert.ts';
import { PROTO_PACKAGE } from '../../config/envelope.ts';
import { ProblemList } from '../../config/problem-list.ts';
import { readSpec } from '../../config/spec-reader.ts';
import { consumerSpec, credentialSpec } from './consumer.ts';
import type { MadeResource, ReadObject } from './read-object.ts';

/**
 * The Consumer that sidecars get: what was read of the consumer, with its credentials in the order of their ids. Each was
 * checked. Together only one thing can be wrong with them, a key that two of them have, which sidecars refuse: compare
 * their `crossFacts` first.
 */
export function joinConsumer(consumer: ReadObject, credentials: readonly ReadObject[]): MadeResource {
  const problems = new ProblemList();
  const ordered = credentials.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const spec = {
    ...consumerSpec(consumer.value, problems),
    name: consumer.id,
    credentials: ordered.map(({ id, value }) => credentialSpec(id.slice(id.indexOf('/') + 1), value, problems)),
  };
  const bytes = readSpec(`${PROTO_PACKAGE}.Consumer`, spec, '', problems);
  invariant(problems.size === 0, 'consumers and credentials are checked before they are joined');
  return { kind: 'Consumer', name: consumer.id, bytes };
}
