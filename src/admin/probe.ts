import type { SidecarView } from './views.ts';

/** An answer to a supervisor's probe. */
export interface ProbeAnswer {
  readonly status: 200 | 503;
  /** One line: why. */
  readonly text: string;
}

/** Answers `/ready` (takes new work?) and `/live` (can it still work?); undefined for other paths. */
export function probe(path: string, view: Pick<SidecarView, 'ready' | 'live'>): ProbeAnswer | undefined {
  if (path === '/ready') {
    const { ready, reason } = view.ready();
    return { status: ready ? 200 : 503, text: `${reason}\n` };
  }
  if (path === '/live') return view.live() ? { status: 200, text: 'live\n' } : { status: 503, text: 'not live\n' };
  return undefined;
}
