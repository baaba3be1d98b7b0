import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TypeStatus } from '../../../src/controlplane/delta-stream.ts';
import { listSidecars, type StreamStatus } from '../../../src/controlplane/list-sidecars.ts';
import { ListSidecarsRequest, SyncState } from '../../../src/gen/outrigger/admin/v1/control_plane.ts';

function type(over: Partial<TypeStatus> = {}): TypeStatus {
  return {
    typeUrl: 'type.googleapis.com/outrigger.config.v1.Route',
    subscribed: 0,
    wildcard: true,
    awaitingAnswer: false,
    due: 0,
    sent: 2,
    acknowledged: 2,
    refused: [],
    ...over,
  };
}

function stream(nodeId: string, serial: number, types: readonly TypeStatus[] = [type()]): StreamStatus {
  const peer = `127.0.0.1:${1000 + serial}`;
  return { nodeId, program: 'outrigger/1', peer, sinceWallMs: 5_000, serial, tls: false, spiffeId: undefined, types };
}

const list = (streams: readonly StreamStatus[], request: Partial<ListSidecarsRequest> = {}) =>
  listSidecars(streams, { ...ListSidecarsRequest.fromPartial({}), ...request });

test('each sidecar with what it has', () => {
  const refused = [{ name: 'r', reason: 'Route r: no', sinceWallMs: 7_000 }];
  const { sidecars, nextPageToken } = list([stream('b', 1), stream('a', 2, [type({ refused, acknowledged: 1 })])]);
  assert.equal(nextPageToken, '');
  assert.deepEqual(
    sidecars.map(({ nodeId, state }) => [nodeId, state]),
    [
      ['a', SyncState.REFUSED],
      ['b', SyncState.SYNCED],
    ],
  );
  assert.deepEqual(sidecars[0], {
    nodeId: 'a',
    version: 'outrigger/1',
    address: '127.0.0.1:1002',
    connectedSince: new Date(5_000),
    flavour: 'delta',
    tls: false,
    spiffeId: '',
    state: SyncState.REFUSED,
    types: [
      {
        typeUrl: 'type.googleapis.com/outrigger.config.v1.Route',
        subscribed: 0,
        wildcard: true,
        state: SyncState.REFUSED,
        due: 0,
        sent: 2n,
        acknowledged: 1n,
        refused: [{ name: 'r', reason: 'Route r: no', since: new Date(7_000) }],
        refusedLeftOut: 0,
      },
    ],
  });
});

test('a sidecar waits while something is due or not answered, and before it asked for anything', () => {
  const states = (...types: TypeStatus[]) => list([stream('a', 1, types)]).sidecars[0]?.state;
  assert.equal(states(), SyncState.WAITING);
  assert.equal(states(type(), type({ due: 1 })), SyncState.WAITING);
  assert.equal(states(type({ awaitingAnswer: true }), type()), SyncState.WAITING);
  assert.equal(states(type(), type()), SyncState.SYNCED);
});

test('pages hold each once, in order, also of one node with several streams', () => {
  const streams = ['c', 'a', 'b', 'a', 'abc'].map((nodeId, i) => stream(nodeId, i));
  const seen: string[] = [];
  let pageToken = '';
  do {
    const page = list(streams, { pageSize: 2, pageToken });
    assert.ok(page.sidecars.length <= 2);
    seen.push(...page.sidecars.map(({ nodeId, address }) => `${nodeId} ${address.slice(-1)}`));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  assert.deepEqual(seen, ['a 1', 'a 3', 'abc 4', 'b 2', 'c 0']);
});

test('a filter by prefix, and tokens that belong to it', () => {
  const streams = ['a1', 'a2', 'b'].map((nodeId, i) => stream(nodeId, i));
  const page = list(streams, { nodeIdPrefix: 'a', pageSize: 1 });
  assert.deepEqual(
    page.sidecars.map(({ nodeId }) => nodeId),
    ['a1'],
  );
  assert.throws(() => list(streams, { pageToken: page.nextPageToken }), /page_token: belongs to a request with other/);
  assert.throws(() => list(streams, { pageToken: 'x' }), /page_token: not one that was given out/);
  assert.throws(() => list(streams, { pageSize: 10_001 }), /page_size: 10001 is more than 10000/);
});

test('at most 100 refused resources of a type, and pages that stay small', () => {
  const refused = Array.from({ length: 150 }, (_, i) => ({ name: `r${i}`, reason: 'x'.repeat(4_000), sinceWallMs: 0 }));
  const streams = Array.from({ length: 10 }, (_, i) => stream(`n${i}`, i, [type({ refused })]));
  const page = list(streams);
  assert.equal(page.sidecars[0]?.types[0]?.refused.length, 100);
  assert.equal(page.sidecars[0]?.types[0]?.refusedLeftOut, 50);
  assert.equal(page.sidecars.length, 5);
  assert.notEqual(page.nextPageToken, '');
});
