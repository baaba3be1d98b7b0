import type { Endpoint, Endpoints } from '../../gen/outrigger/config/v1/endpoints.ts';
import { canonicalDnsName } from '../dns-name.ts';
import { canonicalIp } from '../../base/ip-address.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import { checkIp, checkLabels, checkPort, checkWord } from './values.ts';

const STATES = ['ready', 'draining'];

/** Checks an Endpoints resource. Its name must end in a service port, or no target would ever ask for it. */
export function checkEndpoints(message: Endpoints, problems: ProblemList, name: string): void {
  const port = /^.+\/([1-9]\d{0,4})$/.exec(name)?.[1];
  if (port === undefined || Number(port) > 65535) {
    problems.add('name', 'must be namespace/service/port, where port is a service port number between 1 and 65535');
  }
  const { endpoints } = message;
  for (let i = 0; i < endpoints.length; i++) {
    const endpoint = endpoints[i]!;
    // There may be tens of thousands: paths are put together only for those that have something to tell.
    if (!isSound(endpoint)) checkEndpoint(endpoint, problems, entry('endpoints', i));
  }
}

/** Whether there is nothing to look at more closely. */
function isSound({ address, port, state, labels }: Endpoint): boolean {
  for (const _ in labels) return false;
  return canonicalIp(address) !== undefined && port >= 1 && port <= 65535 && (state === undefined || state === 'ready');
}

/** Weight and priority are bounded by their types. */
function checkEndpoint(endpoint: Endpoint, problems: ProblemList, path: string): void {
  const at = member(path, 'address');
  if (canonicalDnsName(endpoint.address) === undefined) checkIp(problems, at, endpoint.address);
  else problems.add(at, `${quote(endpoint.address)} is a DNS name: it goes into nodes of the Upstream, with its port`);
  checkPort(problems, member(path, 'port'), endpoint.port);
  checkWord(problems, member(path, 'state'), endpoint.state, STATES);
  checkLabels(problems, member(path, 'labels'), endpoint.labels);
}
