// The sidecars of a control plane for people: a line each, and below it what it refused.
import { type ConnectedSidecar, type SubscribedType, SyncState } from '../gen/outrigger/admin/v1/control_plane.ts';
import type { StatusWords } from './status-words.ts';
import { shownReason, shownText } from './shown-text.ts';
import { shortTime, textTable } from './text-table.ts';

const STATES: Readonly<Record<number, string>> = {
  [SyncState.SYNCED]: 'SYNCED',
  [SyncState.WAITING]: 'WAITING',
  [SyncState.REFUSED]: 'REFUSED',
};

/** Well where each is in sync; also where there is none. */
export function sidecarWords(sidecars: readonly ConnectedSidecar[]): StatusWords {
  if (sidecars.length === 0) return { text: 'no sidecar is connected\n', isWell: true };
  const head = ['NODE', 'VERSION', 'SINCE', 'STATE'];
  const rows = sidecars.map(({ nodeId, version, connectedSince, state }) => [
    nodeId === '' ? '-' : shownText(nodeId),
    version === '' ? '-' : shownText(version),
    shortTime(connectedSince),
    STATES[state] ?? 'UNKNOWN',
  ]);
  const [title = '', ...lines] = textTable([head, ...rows]);
  const shown = sidecars.flatMap((sidecar, i) => [lines[i] ?? '', ...sidecar.types.flatMap(refusedLines)]);
  const count = (state: SyncState): number => sidecars.filter((sidecar) => sidecar.state === state).length;
  const [synced, waiting, refused] = [count(SyncState.SYNCED), count(SyncState.WAITING), count(SyncState.REFUSED)];
  const sum = `${sidecars.length} sidecar${sidecars.length === 1 ? '' : 's'}: ${synced} in sync, ${waiting} waiting, ${refused} refusing`;
  return { text: `${[title, ...shown, '', sum].join('\n')}\n`, isWell: synced === sidecars.length };
}

function refusedLines({ typeUrl, refused, refusedLeftOut }: SubscribedType): string[] {
  const kind = shownText(typeUrl.slice(typeUrl.lastIndexOf('.') + 1));
  const lines = refused.map(({ name, reason, since }) => {
    const what = `${kind}${name === '' ? '' : ` ${shownText(name)}`}: `;
    const words = shownReason(reason);
    return `  refused since ${shortTime(since)}: ${words.startsWith(what) ? '' : what}${words}`;
  });
  return refusedLeftOut > 0 ? [...lines, `  and ${refusedLeftOut} more of ${kind}, left out`] : lines;
}
