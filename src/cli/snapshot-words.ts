// The state of a sidecar for people: its control stream, its resources by state, and what isn't well.
import { type GetSnapshotResponse, ResourceState, type ResourceStatus } from '../gen/outrigger/admin/v1/admin.ts';
import type { StatusWords } from './status-words.ts';
import { shownReason, shownText } from './shown-text.ts';
import { shortTime } from './text-table.ts';

/** Lines of what isn't well; beyond them only their number. */
const MAX_PROBLEMS = 100;

const STATES: readonly (readonly [ResourceState, string])[] = [
  [ResourceState.ACKED, 'in force'],
  [ResourceState.NACKED, 'refused'],
  [ResourceState.REQUESTED, 'asked for'],
  [ResourceState.DOES_NOT_EXIST, 'missing'],
  [ResourceState.REMOVED, 'removed'],
];

/**
 * Well where the control plane is connected, if there is one, every resource that is wanted is in force in its newest
 * version, every listener bound, and every certificate usable.
 */
export function snapshotWords(answer: GetSnapshotResponse): StatusWords {
  const { nodeId, control, resources, listeners, certificates } = answer;
  const problems: string[] = [];
  const isStatic = control === undefined || control.state === 'none';
  if (!isStatic && control.state !== 'connected') {
    const why = control.lastError === '' ? '' : `: ${shownReason(control.lastError)}`;
    problems.push(`the control plane ${control.address} is not connected${why}`);
  }
  for (const resource of resources) {
    const problem = resourceProblem(resource, resources);
    if (problem !== undefined) problems.push(`${resource.kind} ${resource.name} ${problem}`);
  }
  for (const { name, address, error } of listeners) {
    if (error !== '') problems.push(`listener ${name} is not bound to ${address}: ${shownReason(error)}`);
  }
  for (const { name, error } of certificates) {
    if (error !== '') problems.push(`certificate of ${name}: ${shownReason(error)}`);
  }
  const bound = listeners.filter(({ error }) => error === '').length;
  const lines = [
    `node        ${nodeId}`,
    `control     ${isStatic ? 'none' : `${control.address}, ${control.state} since ${shortTime(control.since)}`}`,
    `resources   ${byState(resources)}`,
    `listeners   ${bound} bound${bound === listeners.length ? '' : `, ${listeners.length - bound} not`}`,
    `state       ${problems.length === 0 ? 'well' : 'not well'}`,
    ...problems.slice(0, MAX_PROBLEMS).map((problem) => `  ${problem}`),
  ];
  if (problems.length > MAX_PROBLEMS) lines.push(`  and ${problems.length - MAX_PROBLEMS} more, left out`);
  return { text: `${lines.map(shownText).join('\n')}\n`, isWell: problems.length === 0 };
}

function byState(resources: readonly ResourceStatus[]): string {
  const counts = STATES.map(([state, word]) => [resources.filter((one) => one.state === state).length, word] as const);
  const shown = counts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  return shown.length === 0 ? 'none' : shown.join(', ');
}

function resourceProblem(
  { kind, state, version, error, refusedVersion }: ResourceStatus,
  all: readonly ResourceStatus[],
): string | undefined {
  switch (state) {
    case ResourceState.NACKED: {
      const stays = version === '' ? 'nothing is in force of it' : `version ${version} stays in force`;
      // Without a version that was refused: it wasn't even asked for, and the error says why.
      return refusedVersion === ''
        ? `is not taken (${stays}): ${shownReason(error)}`
        : `is refused (version ${refusedVersion}; ${stays}): ${shownReason(error)}`;
    }
    case ResourceState.REQUESTED:
      return 'has not come yet';
    case ResourceState.REMOVED:
      return 'was removed by the control plane, and is still named';
    case ResourceState.DOES_NOT_EXIST:
      if (isNeedlessRoot(kind, all)) return undefined;
      return `is not there at the control plane${error === '' ? '' : `: ${shownReason(error)}`}`;
    default:
      return undefined;
  }
}

/**
 * A sidecar asks for the root of its own name and for `default`: one is enough. A gateway needs none, so where anything is in
 * force the control plane need not have one.
 */
function isNeedlessRoot(kind: string, all: readonly ResourceStatus[]): boolean {
  return kind === 'Sidecar' && all.some(({ version }) => version !== '');
}
