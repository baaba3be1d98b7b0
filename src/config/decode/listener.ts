import { LISTENER_ROLES, portKey } from '../../model/snapshot.ts';
import type { Listener } from '../../gen/outrigger/config/v1/listener.ts';
import { normalAuthority, targetAuthorities } from '../authorities.ts';
import { canonicalIp } from '../../base/ip-address.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import { checkListenerTls } from './tls.ts';
import { checkIp, checkPort, checkRange, checkWord, nameProblem } from './values.ts';

const PROTOCOLS = ['auto', 'http1', 'http2'];

/** Checks a Listener. With several targets, each must be one that some authority can pick. */
export function checkListener(message: Listener, problems: ProblemList, name: string): void {
  const taken = LISTENER_ROLES.find((role) => role === name);
  if (taken !== undefined)
    problems.add('name', `'${taken}' is the name of the listener of run --${taken}: take another`);
  if (message.address !== undefined) checkIp(problems, 'address', message.address);
  if (message.port === undefined) problems.add('port', 'required; 0 takes a free one');
  else checkRange(problems, 'port', message.port, 0, 65535);
  checkWord(problems, 'protocols', message.protocols, PROTOCOLS);
  checkListenerTls(message.tls, problems, 'tls');
  if (message.targets.length === 0) problems.add('targets', 'required: at least one');
  checkTargets(message, problems);
}

/** Whether some request can have this as its host. A colon stands in no name, only in an IPv6 address. */
function isHost(plain: string): boolean {
  if (plain === '' || /[\s/@?#[\]\u0000-\u001f\u007f]/.test(plain)) return false;
  return !plain.includes(':') || canonicalIp(plain) !== undefined;
}

function checkTargets(message: Listener, problems: ProblemList): void {
  const targets = new Map<string, number>();
  const authorities = new Map<string, number>();
  const before = problems.size;
  for (const [i, target] of message.targets.entries()) {
    const path = entry('targets', i);
    const reason = nameProblem(target.upstream);
    if (reason !== undefined) problems.add(member(path, 'upstream'), reason);
    checkPort(problems, member(path, 'service_port'), target.servicePort);
    const key = portKey(target.upstream, target.servicePort);
    const earlier = targets.get(key);
    if (earlier === undefined) targets.set(key, i);
    else problems.add(path, `has the upstream and service port of targets[${earlier}]`);
    for (const [j, authority] of target.authorities.entries()) {
      const at = entry(member(path, 'authorities'), j);
      const plain = normalAuthority(authority);
      const other = authorities.get(plain);
      if (plain.includes('*'))
        problems.add(at, `${quote(authority)} has a wildcard, which is not supported: name each`);
      else if (!isHost(plain)) problems.add(at, `${quote(authority)} is no authority`);
      else if (other === undefined) authorities.set(plain, i);
      else if (other === i) problems.add(at, `${quote(authority)} is there twice`);
      else problems.add(at, `${quote(authority)} picks targets[${other}] already`);
    }
  }
  if (problems.size > before || message.targets.length < 2) return;
  for (const [i, names] of targetAuthorities(message.targets).entries()) {
    if (names.length > 0) continue;
    problems.add(
      member(entry('targets', i), 'authorities'),
      'an earlier target has all of the default authorities, so nothing picks this one: give it some',
    );
  }
}
