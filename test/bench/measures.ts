// Which figures a scenario has, by what it counts. The first is the one to judge by.
import type { PeerResult, Round } from './result.ts';
import type { Unit } from './scenario.ts';

const MIB = 1024 * 1024;

/** One figure of a round. */
export interface Measure {
  readonly title: string;
  readonly digits: number;
  readonly isSpread: boolean;
  pick(round: Round, peer: PeerResult): number;
}

/** A figure that a round of this scenario doesn't have. */
const NONE = Number.NaN;

const CORE = single('core %', 0, ({ coreShare = NONE }) => coreShare * 100);
const REST = single('MiB at rest', 1, (_, { restRssBytes }) => restRssBytes / MIB);
const LOADED = single('MiB loaded', 1, ({ rssBytes = NONE }) => rssBytes / MIB);

/** The figures of a scenario, in the order of the table. */
export function measuresOf(unit: Unit = 'request'): readonly [Measure, ...Measure[]] {
  switch (unit) {
    case 'start':
      return [
        spread('ms to ready', 1, ({ readyMs = NONE }) => readyMs),
        REST,
        single('private', 1, (_, { restPrivateBytes = NONE }) => restPrivateBytes / MIB),
      ];
    case 'paced request':
      return [
        spread('µs p99', 0, ({ p99Us = NONE }) => p99Us),
        spread('µs p50', 0, ({ p50Us = NONE }) => p50Us),
        spread('µs CPU/request', 2, ({ cpuUsPerRequest = NONE }) => cpuUsPerRequest),
        CORE,
      ];
    case 'idle connection':
      return [
        spread('KiB/connection', 2, ({ bytesPerConnection = NONE }) => bytesPerConnection / 1024),
        pace('connections/s', 0),
        CORE,
        REST,
        LOADED,
      ];
    case 'GiB':
      return [
        spread('ms CPU/GiB', 0, ({ cpuUsPerRequest = NONE }) => cpuUsPerRequest / 1000),
        pace('GiB/s', 2),
        CORE,
        REST,
        LOADED,
      ];
    case 'MiB':
    case 'handshake':
    case 'request': {
      const many = { MiB: 'MiB/s', handshake: 'connections/s', request: 'requests/s' }[unit];
      const cost = spread(`µs CPU/${unit}`, 2, ({ cpuUsPerRequest = NONE }) => cpuUsPerRequest);
      return [cost, pace(many, 0), CORE, REST, LOADED];
    }
  }
}

/** What a scenario counts a second. */
export function paceOf(unit: Unit | undefined): Measure | undefined {
  return measuresOf(unit).find(({ title }) => title.endsWith('/s'));
}

function pace(title: string, digits: number): Measure {
  return spread(title, digits, ({ requestsPerSecond = NONE }) => requestsPerSecond);
}

/** Shown with its range. */
function spread(title: string, digits: number, pick: Measure['pick']): Measure {
  return { title, digits, isSpread: true, pick };
}

/** Shown by its median. */
function single(title: string, digits: number, pick: Measure['pick']): Measure {
  return { title, digits, isSpread: false, pick };
}
