import { MAX_WEIGHT } from '../../model/defaults.ts';
import type { Endpoint, Endpoints } from '../../gen/outrigger/config/v1/endpoints.ts';
import { entry, member, type ProblemList } from '../problem-list.ts';
import { checkIp, checkLabels, checkPort, checkRange, checkWord, refuse } from './values.ts';

const STATES = ['ready', 'draining'];

/** Checks an Endpoints resource. Its name must end in a service port, or no target would ever ask for it. */
export function checkEndpoints(message: Endpoints, problems: ProblemList, name: string): void {
  const port = /^.+\/([1-9]\d{0,4})$/.exec(name)?.[1];
  if (port === undefined || Number(port) > 65535) {
    problems.add('name', 'must be namespace/service/port, where port is a service port number between 1 and 65535');
  }
  for (const [i, endpoint] of message.endpoints.entries()) checkEndpoint(endpoint, problems, entry('endpoints', i));
}

function checkEndpoint(endpoint: Endpoint, problems: ProblemList, path: string): void {
  checkIp(problems, member(path, 'address'), endpoint.address);
  checkPort(problems, member(path, 'port'), endpoint.port);
  checkRange(problems, member(path, 'weight'), endpoint.weight, 0, MAX_WEIGHT);
  refuse(problems, member(path, 'priority'), (endpoint.priority ?? 0) !== 0);
  checkWord(problems, member(path, 'state'), endpoint.state, STATES);
  checkLabels(problems, member(path, 'labels'), endpoint.labels);
}
