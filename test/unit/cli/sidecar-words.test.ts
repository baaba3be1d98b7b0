import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sidecarWords } from '../../../src/cli/sidecar-words.ts';
import {
  type ConnectedSidecar,
  RefusedResource,
  SubscribedType,
  SyncState,
} from '../../../src/gen/outrigger/admin/v1/control_plane.ts';

const SINCE = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));

function sidecar(nodeId: string, state: ConnectedSidecar['state'], types: SubscribedType[] = []): ConnectedSidecar {
  const version = nodeId === '' ? '' : 'outrigger/0.1.0';
  const rest = { address: '127.0.0.1:1', connectedSince: SINCE, flavour: 'delta', tls: false, spiffeId: '' };
  return { nodeId, version, state, types, ...rest };
}

test('a line for each, and below it what it refused', () => {
  const typeUrl = 'type.googleapis.com/outrigger.config.v1.Route';
  const refused = [
    { name: 'r1', reason: 'Route r1: uris[0]: must begin with /', since: SINCE },
    { name: 'r2', reason: 'no', since: SINCE },
    { name: '', reason: 'out of memory', since: SINCE },
  ].map((one) => RefusedResource.fromPartial(one));
  const type = SubscribedType.fromPartial({ typeUrl, refused, refusedLeftOut: 4 });
  const { text, isWell } = sidecarWords([
    sidecar('node-1', SyncState.SYNCED),
    sidecar('n2', SyncState.REFUSED, [type]),
    sidecar('', SyncState.WAITING),
  ]);
  assert.equal(isWell, false);
  assert.deepEqual(text.split('\n'), [
    'NODE    VERSION          SINCE                 STATE',
    'node-1  outrigger/0.1.0  2026-01-02 03:04:05Z  SYNCED',
    'n2      outrigger/0.1.0  2026-01-02 03:04:05Z  REFUSED',
    '  refused since 2026-01-02 03:04:05Z: Route r1: uris[0]: must begin with /',
    '  refused since 2026-01-02 03:04:05Z: Route r2: no',
    '  refused since 2026-01-02 03:04:05Z: Route: out of memory',
    '  and 4 more of Route, left out',
    '-       -                2026-01-02 03:04:05Z  WAITING',
    '',
    '3 sidecars: 1 in sync, 1 waiting, 1 refusing',
    '',
  ]);
});

test('well where all are in sync, and where there is none', () => {
  assert.equal(sidecarWords([sidecar('a', SyncState.SYNCED)]).isWell, true);
  assert.equal(sidecarWords([sidecar('a', SyncState.SYNCED), sidecar('b', SyncState.WAITING)]).isWell, false);
  assert.deepEqual(sidecarWords([]), { text: 'no sidecar is connected\n', isWell: true });
});

test('what a sidecar says reaches the terminal without control characters, and cut', () => {
  const typeUrl = 'type.googleapis.com/outrigger.config.v1.Route';
  const reason = `Route r1: \u001b]0;owned\u0007\n${'x'.repeat(1_000)}`;
  const refused = [RefusedResource.fromPartial({ name: 'r1', reason, since: SINCE })];
  const one = sidecar('n\u001b[2Jode\nfake  SYNCED', SyncState.REFUSED, [
    SubscribedType.fromPartial({ typeUrl, refused }),
  ]);
  const { text } = sidecarWords([{ ...one, version: '\u009b31m' }]);
  assert.match(text, /^[\n -~…]+$/);
  const lines = text.split('\n');
  assert.match(lines[1] ?? '', /^n\\x1b\[2Jode\\x0afake {2}SYNCED {2}\\x9b31m {2}2026/);
  assert.match(lines[2] ?? '', /^ {2}refused since \S+ \S+: Route r1: \\x1b\]0;owned\\x07\\x0ax{200,300}…$/);
});
