// The variables of a request, by the names that nginx and APISIX give them: what settings may name, and what policy/request-variables.ts
// reads. One list, so that neither can know a variable that the other doesn't.

/** Variables with a name of their own. */
export const VARIABLE_NAMES = [
  'uri',
  'document_uri',
  'request_uri',
  'query_string',
  'args',
  'is_args',
  'host',
  'server_name',
  'server_addr',
  'server_port',
  'server_protocol',
  'remote_addr',
  'remote_port',
  'hostname',
  'consumer_name',
  'route_id',
  'service_id',
  'request_method',
  'method',
  'scheme',
  'https',
  'content_type',
  'content_length',
  'mqtt_client_id',
] as const;

/** A variable with a name of its own. */
export type VariableName = (typeof VARIABLE_NAMES)[number];

/** What the names of the others begin with; behind it stands the name of a field, a cookie or an argument. */
export const VARIABLE_PREFIXES = ['http_', 'cookie_', 'arg_'] as const;

/** What the name of a variable begins with that isn't among {@link VARIABLE_NAMES}. */
export type VariablePrefix = (typeof VARIABLE_PREFIXES)[number];

/** The prefix of a name; undefined: it has none. */
export function variablePrefix(name: string): VariablePrefix | undefined {
  return VARIABLE_PREFIXES.find((prefix) => name.startsWith(prefix));
}

/** Whether there is a variable of this name. */
export function isVariable(name: string): boolean {
  const prefix = variablePrefix(name);
  return prefix === undefined ? VARIABLE_NAMES.some((known) => known === name) : name.length > prefix.length;
}
