// The doors of all kinds of resources.
import { Consumer, PluginConfig, Route, Service } from '../../gen/outrigger/config/v1/gateway.ts';
import { Secret } from '../../gen/outrigger/config/v1/secret.ts';
import type { Decoded, Kind } from '../resource.ts';
import { checkConsumer } from './consumer.ts';
import { type Door, passDoor } from './door.ts';
import { checkPluginConfig } from './plugin-config.ts';
import { checkRoute } from './route.ts';
import { checkSecret } from './secret.ts';
import { checkService } from './service.ts';
import { TREE_DOORS } from './tree-doors.ts';

const DOORS: { readonly [K in Kind]: Door<K> } = {
  ...TREE_DOORS,
  Route: { decode: (bytes) => Route.decode(bytes), check: checkRoute },
  Service: { decode: (bytes) => Service.decode(bytes), check: checkService },
  PluginConfig: { decode: (bytes) => PluginConfig.decode(bytes), check: checkPluginConfig },
  Consumer: { decode: (bytes) => Consumer.decode(bytes), check: checkConsumer },
  Secret: { decode: (bytes) => Secret.decode(bytes), check: checkSecret },
};

/**
 * Decodes and checks a resource of any kind. `name` is the name under which it came; one in the message must be the same.
 * Never throws: bytes that are no such message are a problem like any other.
 */
export function decodeResource<K extends Kind>(kind: K, name: string, bytes: Uint8Array): Decoded<K> {
  return passDoor(DOORS[kind], kind, name, bytes);
}
