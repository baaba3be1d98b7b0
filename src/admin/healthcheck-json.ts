// The health of checked upstreams in the shape of APISIX's control API (`/v1/healthcheck`): what reads that reads this.
// Each node has further members: `cause` and `since`, and how many attempts it had and how they ended, since APISIX's
// counters stand still while an endpoint is healthy. Nodes are listed from the first configuration on, each by its own
// address and port, also where `checks.active.port` probes them all at one port. Text is made a port at a time: a huge list
// neither is held as a whole nor stops the event loop for long.
import { isoTime } from '../telemetry/iso-time.ts';
import type { EndpointTlsView, EndpointView, PortView, SidecarView } from './views.ts';

/** Kinds that APISIX's API knows. An upstream inside an object of another kind is named after that: `routes/1`. */
const KINDS = ['routes', 'services', 'upstreams', 'stream_routes'];
/** Namespace of an upstream that names none. */
const DEFAULT_NAMESPACE = 'default/';

/** An answer whose body is made in pieces, each when it is asked for; the event loop may turn between two. */
export interface Page {
  readonly status: 200 | 400 | 404;
  readonly contentType: string;
  readonly body: Iterable<string>;
}

/** Answers `/v1/healthcheck` and what is under it; `rest` is the path after it, still encoded. */
export function healthcheckPage(view: SidecarView, rest: string, html: boolean): Page {
  if (rest === '' || rest === '/') return html ? htmlPage(checkedPorts(view)) : jsonPage(listJson(checkedPorts(view)));
  const slash = rest.indexOf('/', 1);
  const kind = rest.slice(1, slash === -1 ? undefined : slash);
  if (!KINDS.includes(kind)) return errorPage(400, `invalid kind ${kind}: one of ${KINDS.join(', ')}`);
  const id = slash === -1 ? '' : decodeSegment(rest.slice(slash + 1));
  if (id === undefined) return errorPage(400, 'the id is not percent-encoded UTF-8');
  if (id === '') return errorPage(400, `the id is missing: /v1/healthcheck/${kind}/ID`);
  const found = kind === 'upstreams' ? portsOf(view, id) : portsOf(view, `${kind}/${id}`);
  const [port] = found;
  if (!port) return errorPage(404, `${kind}/${id} is not found, or has no health checks`);
  if (found.length > 1) {
    const ids = found.map((each) => idOf(each)).join(', ');
    return errorPage(404, `${kind}/${id} has several checked ports: ask for one of ${ids}`);
  }
  return html ? htmlPage([port]) : jsonPage([portJson(port)]);
}

/**
 * The port with this id, `namespace/service/port`; or the checked ports of an upstream. A namespace that is left out is
 * `default`, where nothing has the id itself.
 */
function portsOf(view: SidecarView, id: string): PortView[] {
  let found: PortView[] = [];
  let exact = false;
  for (const port of checkedPorts(view)) {
    if (idOf(port) === id) return [port];
    if (port.upstream === id) {
      if (!exact) found = [];
      exact = true;
      found.push(port);
    } else if (!exact && isInDefault(port, id)) found.push(port);
  }
  return found;
}

function isInDefault(port: PortView, id: string): boolean {
  if (!port.upstream.startsWith(DEFAULT_NAMESPACE)) return false;
  const inDefault = DEFAULT_NAMESPACE + id;
  return port.upstream === inDefault || idOf(port) === inDefault;
}

function checkedPorts(view: SidecarView): PortView[] {
  const checked: PortView[] = [];
  for (const port of view.ports()) if (port.checks) checked.push(port);
  return checked;
}

function idOf(port: PortView): string {
  return `${port.upstream}/${port.servicePort}`;
}

/** Where this port is found under `/v1/healthcheck`. */
function nameOf(port: PortView): string {
  const id = idOf(port);
  const [owner = ''] = id.split('/', 1);
  return KINDS.includes(owner) ? `/${id}` : `/upstreams/${id}`;
}

/** What the checks call the endpoint: the host that they set, else its DNS name, else its address. */
function hostnameOf(port: PortView, endpoint: EndpointView): string {
  return port.checks?.host ?? (endpoint.host || endpoint.address);
}

function decodeSegment(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function* listJson(ports: readonly PortView[]): Iterable<string> {
  // APISIX's JSON library writes an empty list as an object; so for the nodes below.
  if (ports.length === 0) return yield '{}';
  let separator = '[';
  for (const port of ports) {
    yield separator + portJson(port);
    separator = ',';
  }
  yield ']';
}

function portJson(port: PortView): string {
  const nodes = Array.from(port.endpoints(), (endpoint) => nodeOf(port, endpoint));
  return JSON.stringify({
    name: nameOf(port),
    type: port.checks?.type,
    nodes: nodes.length === 0 ? {} : nodes,
  });
}

function nodeOf(port: PortView, endpoint: EndpointView): Record<string, unknown> {
  const { success, httpFailure, tcpFailure, timeoutFailure } = endpoint.health;
  return {
    ip: endpoint.address,
    port: endpoint.port,
    hostname: hostnameOf(port, endpoint),
    status: endpoint.state,
    counter: {
      success,
      http_failure: httpFailure,
      tcp_failure: tcpFailure,
      timeout_failure: timeoutFailure,
    },
    cause: endpoint.cause,
    since: isoTime(endpoint.sinceWallMs),
    attempts: endpoint.attempts,
    successes: endpoint.successes,
    failures: endpoint.failures,
  };
}

function jsonPage(body: Iterable<string>): Page {
  return { status: 200, contentType: 'application/json', body };
}

function errorPage(status: 400 | 404, message: string): Page {
  return { status, contentType: 'application/json', body: [JSON.stringify({ error_msg: message }), '\n'] };
}

function htmlPage(ports: readonly PortView[]): Page {
  return { status: 200, contentType: 'text/html; charset=utf-8', body: tableHtml(ports) };
}

const COLUMNS = [
  'upstream',
  'type',
  'endpoint',
  'hostname',
  'status',
  'success',
  'http',
  'tcp',
  'timeout',
  'cause',
  'since',
  'TLS',
];

function* tableHtml(ports: readonly PortView[]): Iterable<string> {
  yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Health checks</title>';
  yield '<style>body{font-family:sans-serif}td,th{padding:2px 10px;text-align:left}.unhealthy,.unsafe{color:#b00}.unsafe{font-weight:bold}</style>';
  yield `</head><body><h1>Health checks</h1><table><tr>${COLUMNS.map((name) => `<th>${name}</th>`).join('')}</tr>\n`;
  for (const port of ports) {
    let rows = '';
    for (const endpoint of port.endpoints()) {
      const { success, httpFailure, tcpFailure, timeoutFailure } = endpoint.health;
      const where = endpoint.address.includes(':') ? `[${endpoint.address}]` : endpoint.address;
      const cells = [
        idOf(port),
        port.checks?.type ?? '',
        `${where}:${endpoint.port}`,
        hostnameOf(port, endpoint),
        endpoint.state,
        success,
        httpFailure,
        tcpFailure,
        timeoutFailure,
        endpoint.cause,
        isoTime(endpoint.sinceWallMs),
      ];
      const row = cells.map((cell) => `<td>${escapeHtml(String(cell))}</td>`).join('') + tlsCell(endpoint.tls);
      rows += `<tr class="${endpoint.state}">${row}</tr>\n`;
    }
    yield rows;
  }
  yield '</table></body></html>\n';
}

/** Whether the endpoint's certificate is verified, what is wrong with TLS, and what the last handshake brought. */
function tlsCell(tls: EndpointTlsView | undefined): string {
  if (!tls) return '<td></td>';
  const { verified, error, peer } = tls;
  const parts = [verified ? 'verified' : 'not verified'];
  if (error !== '') parts.push(error);
  if (peer) parts.push(peer.version, peer.alpn, `expires ${isoTime(peer.notAfterMs)}`);
  const mark = verified && error === '' ? '' : ' class="unsafe"';
  return `<td${mark}>${escapeHtml(parts.filter((part) => part !== '').join(', '))}</td>`;
}

/** Text that is safe between tags and inside quoted attributes. */
function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
