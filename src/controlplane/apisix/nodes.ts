// `nodes` of an Upstream, as a map `{"host:port": weight}` or as a list, → the list of the wire.
import { describeType, isObject } from '../../config/envelope.ts';
import { parseHostPort } from '../../config/host-port.ts';
import { canonicalIp } from '../../base/ip-address.ts';
import { entry, keyed, member, type ProblemList } from '../../config/problem-list.ts';
import type { JsonObject } from '../store/store.ts';

/** What `nodes` says. */
export interface ReadNodes {
  /** As the message has them; not yet checked. */
  readonly list: readonly unknown[];
  /** A path that begins with `nodes[3]` in the words of the object. */
  readonly objectPath: (path: string) => string;
}

/** Reads either form; `path` is that of `nodes`. Undefined where it is neither, which is then reported. */
export function readNodes(nodes: unknown, path: string, problems: ProblemList): ReadNodes | undefined {
  if (Array.isArray(nodes)) {
    const list = nodes.map((node: unknown, i) => (isObject(node) ? readNode(node, entry(path, i), problems) : node));
    return { list, objectPath: (inner) => inner };
  }
  if (isObject(nodes)) return readNodeMap(nodes, path, problems);
  problems.add(path, `must be an object {"host:port": weight} or a list, not ${describeType(nodes)}`);
  return undefined;
}

function readNodeMap(nodes: JsonObject, path: string, problems: ProblemList): ReadNodes {
  const keys: string[] = [];
  const list: unknown[] = [];
  for (const [key, weight] of Object.entries(nodes)) {
    const address = parseHostPort(key, { defaultHost: undefined, defaultPort: 0, minPort: 1 });
    if (!address.ok) {
      problems.add(keyed(path, key), address.reason);
      continue;
    }
    keys.push(key);
    list.push({ host: address.host, weight, ...(address.port === 0 ? {} : { port: address.port }) });
  }
  const objectPath = (inner: string): string => {
    const index = /^nodes\[(\d+)\]/.exec(inner)?.[1];
    const key = index === undefined ? undefined : keys[Number(index)];
    return key === undefined ? inner : keyed('nodes', key);
  };
  return { list, objectPath };
}

/** In the list form APISIX wants a weight, and brackets around IPv6 addresses. */
function readNode(node: JsonObject, path: string, problems: ProblemList): JsonObject {
  const { host, weight, metadata } = node;
  if (host === undefined) problems.add(member(path, 'host'), 'required: an IP address or a DNS name');
  if (weight === undefined) problems.add(member(path, 'weight'), 'required: a whole number of 0 or more');
  if (typeof host === 'string' && host.includes(':') && canonicalIp(host) !== undefined) {
    const fix = `write [${host}]`;
    problems.add(member(path, 'host'), `IPv6 address must be enclosed with '[' and ']': ${fix}`);
  }
  return isObject(metadata) ? { ...node, metadata: metadataTexts(metadata) } : node;
}

/** Free data in APISIX, labels here: what is no text becomes JSON. */
function metadataTexts(metadata: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}
