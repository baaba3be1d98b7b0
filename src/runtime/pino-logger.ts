// The process log: pino behind base/log.ts's Logger. Lines go to stderr, since stdout belongs to the ready line.
import pino from 'pino';
import { LOG_LEVELS, type Logger, type LogLevel } from '../base/log.ts';

/** A Logger that writes JSON lines to stderr. */
export function createLogger(level: LogLevel): Logger {
  const destination = pino.destination({ dest: 2, sync: true });
  const inner = pino({ level, base: null }, destination);
  return {
    get level() {
      return inner.level as LogLevel;
    },
    set level(next: LogLevel) {
      inner.level = next;
    },
    isOn: (wanted) => LOG_LEVELS[wanted] >= inner.levelVal,
    log: (wanted, fields, message) => inner[wanted](fields, message),
  };
}
