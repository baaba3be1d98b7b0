// Consumers as the gateway knows them.
import { isDeepStrictEqual } from 'node:util';
import { SecretText } from '../base/secret-text.ts';
import type { ConsumerSpec } from '../model/gateway.ts';
import { CUSTOM_ID_LABEL } from './decode/consumer.ts';
import { consumerPluginSpecs } from './plugin-specs.ts';
import type { Resource } from './resource.ts';

const origins = new WeakMap<ConsumerSpec, Resource<'Consumer'>>();

/** What a Consumer makes; `previous` itself if nothing differs. Keys are compared by their digests. */
export function consumerSpec(resource: Resource<'Consumer'>, previous: ConsumerSpec | undefined): ConsumerSpec {
  if (previous !== undefined && origins.get(previous) === resource) return previous;
  const made = makeSpec(resource);
  const spec = previous !== undefined && isDeepStrictEqual(made, previous) ? previous : made;
  origins.set(spec, resource);
  return spec;
}

function makeSpec({ name, message: { labels, plugins, credentials } }: Resource<'Consumer'>): ConsumerSpec {
  const keys: { readonly key: SecretText; readonly credentialId: string }[] = [];
  if (plugins?.keyAuth !== undefined) keys.push({ key: new SecretText(plugins.keyAuth.key), credentialId: '' });
  for (const { id, keyAuth } of credentials) {
    if (keyAuth !== undefined) keys.push({ key: new SecretText(keyAuth.key), credentialId: id });
  }
  const customId = labels[CUSTOM_ID_LABEL] ?? '';
  return { name, customId, keys, plugins: consumerPluginSpecs(plugins?.limitCount, `consumers/${name}`) };
}
