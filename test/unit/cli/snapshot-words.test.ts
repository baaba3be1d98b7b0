import assert from 'node:assert/strict';
import { test } from 'node:test';
import { snapshotWords } from '../../../src/cli/snapshot-words.ts';
import {
  GetSnapshotResponse,
  ListenerStatus,
  ResourceState,
  ResourceStatus,
} from '../../../src/gen/outrigger/admin/v1/admin.ts';

const SINCE = new Date(Date.UTC(2026, 0, 2, 3, 4, 5));

function resource(text: string, state: ResourceState, over: Partial<ResourceStatus> = {}): ResourceStatus {
  const [kind = '', name = ''] = text.split(' ');
  const version = state === ResourceState.ACKED ? 'v1' : '';
  return { ...ResourceStatus.fromPartial({ kind, name, version, state }), ...over };
}

function answer(over: Partial<GetSnapshotResponse> = {}): GetSnapshotResponse {
  const control = { address: '10.0.0.1:15010', state: 'connected', since: SINCE, lastError: '', source: 'control' };
  const resources = [
    resource('Sidecar n1', ResourceState.DOES_NOT_EXIST),
    resource('Sidecar default', ResourceState.ACKED),
  ];
  return { ...GetSnapshotResponse.fromPartial({ nodeId: 'n1' }), control, resources, ...over };
}

/** What isn't well. */
function problems(over: Partial<GetSnapshotResponse>): string[] {
  const { text, isWell } = snapshotWords(answer(over));
  const found = text.split('\n').filter((line) => line.startsWith('  '));
  assert.equal(isWell, found.length === 0);
  return found.map((line) => line.trim());
}

test('a sidecar that is well: one of its two roots is enough', () => {
  const listeners = [ListenerStatus.fromPartial({ name: 'outbound/80', address: '127.0.0.1:80' })];
  const { text, isWell } = snapshotWords(answer({ listeners }));
  assert.equal(isWell, true);
  assert.deepEqual(text.split('\n'), [
    'node        n1',
    'control     10.0.0.1:15010, connected since 2026-01-02 03:04:05Z',
    'resources   1 in force, 1 missing',
    'listeners   1 bound',
    'state       well',
    '',
  ]);
});

test('static configuration has no control plane that could be missing', () => {
  assert.deepEqual(problems({ control: undefined, resources: [] }), []);
  assert.match(snapshotWords(answer({ control: undefined })).text, /^control {5}none$/m);
});

test('each thing that is not well, with its reason', () => {
  const down = { address: '10.0.0.1:15010', state: 'waiting', since: SINCE, lastError: 'refused', source: '' };
  assert.deepEqual(problems({ control: down }), ['the control plane 10.0.0.1:15010 is not connected: refused']);
  const root = resource('Sidecar default', ResourceState.ACKED);
  const refused = { version: 'v1', refusedVersion: 'v2', error: 'uris: none' };
  assert.deepEqual(
    problems({
      resources: [
        root,
        resource('Route r1', ResourceState.NACKED, refused),
        resource('Route r2', ResourceState.NACKED, { ...refused, version: '' }),
        resource('Upstream a', ResourceState.DOES_NOT_EXIST),
        resource('Upstream b', ResourceState.REQUESTED),
        resource('Upstream c', ResourceState.REMOVED, { version: 'v1' }),
      ],
    }),
    [
      'Route r1 is refused (version v2; version v1 stays in force): uris: none',
      'Route r2 is refused (version v2; nothing is in force of it): uris: none',
      'Upstream a is not there at the control plane',
      'Upstream b has not come yet',
      'Upstream c was removed by the control plane, and is still named',
    ],
  );
  const noRoot = [
    resource('Sidecar n1', ResourceState.DOES_NOT_EXIST),
    resource('Sidecar default', ResourceState.REQUESTED),
  ];
  assert.equal(problems({ resources: noRoot }).length, 2);
  const taken = ListenerStatus.fromPartial({ name: 'outbound/80', address: '127.0.0.1:80', error: 'EADDRINUSE' });
  assert.deepEqual(problems({ listeners: [taken] }), ['listener outbound/80 is not bound to 127.0.0.1:80: EADDRINUSE']);
});

test('of many things that are not well the rest is counted', () => {
  const resources = Array.from({ length: 130 }, (_, i) => resource(`Upstream u${i}`, ResourceState.REQUESTED));
  const found = problems({ resources });
  assert.equal(found.length, 101);
  assert.equal(found.at(-1), 'and 30 more, left out');
});

test('no root is needed where something else is in force', () => {
  const roots = ['n1', 'default'].map((name) => resource(`Sidecar ${name}`, ResourceState.DOES_NOT_EXIST));
  assert.deepEqual(problems({ resources: [...roots, resource('Route r1', ResourceState.ACKED)] }), []);
  assert.deepEqual(problems({ resources: roots }), [
    'Sidecar n1 is not there at the control plane',
    'Sidecar default is not there at the control plane',
  ]);
});

test('what is not asked for is named with the reason', () => {
  const root = resource('Sidecar default', ResourceState.ACKED);
  const error = 'a Secret is not asked for over plaintext to 10.0.0.1:15010: use --control-ca';
  const parked = 'the control plane ends the stream when asked for this type, so it is not asked any more';
  const resources = [
    root,
    resource('Secret a', ResourceState.NACKED, { error }),
    resource('Secret b', ResourceState.DOES_NOT_EXIST, { error: parked }),
  ];
  assert.deepEqual(problems({ resources }), [
    `Secret a is not taken (nothing is in force of it): ${error}`,
    `Secret b is not there at the control plane: ${parked}`,
  ]);
});

test('control characters of a peer are shown, and long reasons cut', () => {
  const error = `uris: \u001b[31m${'x'.repeat(1_000)}`;
  const bad = resource('Route r', ResourceState.NACKED, { refusedVersion: '2', error });
  const { text } = snapshotWords(answer({ nodeId: 'n\n1', resources: [{ ...bad, name: 'r\u0007' }] }));
  assert.match(text, /^[\n -~…]+$/);
  assert.match(text, /^node {8}n\\x0a1$/m);
  assert.match(text, /^ {2}Route r\\x07 is refused .*: uris: \\x1b\[31mx{200,300}…$/m);
});
