// HTTP's three ways to write a moment (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`, and the obsolete
// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`. All are UTC and case-sensitive.

const IMF_FIXDATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9:]{8}) GMT$/;
const RFC_850 = /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, ([0-9]{2})-([A-Z][a-z]{2})-([0-9]{2}) ([0-9:]{8}) GMT$/;
const ASCTIME = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([0-9 ][0-9]) ([0-9:]{8}) ([0-9]{4})$/;
const TIME = /^([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)$/;
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const DAY_MS = 86_400_000;

/**
 * Milliseconds since 1970 of an HTTP-date; undefined if it is none. A year of two digits is the one of the last fifty
 * years or of the next fifty, seen from `nowWallMs` (RFC 9110). The name of the day isn't compared with the date.
 */
export function parseHttpDate(text: string, nowWallMs: number): number | undefined {
  let match = IMF_FIXDATE.exec(text);
  if (match) return momentMs(Number(match[3]), match[2], Number(match[1]), match[4]);
  match = ASCTIME.exec(text);
  if (match) return momentMs(Number(match[4]), match[1], Number(match[2]), match[3]);
  match = RFC_850.exec(text);
  return match ? momentMs(wholeYear(Number(match[3]), nowWallMs), match[2], Number(match[1]), match[4]) : undefined;
}

function wholeYear(twoDigits: number, nowWallMs: number): number {
  const thisYear = 1970 + Math.floor(nowWallMs / (365.2425 * DAY_MS));
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year <= thisYear - 50 ? year + 100 : year;
}

function momentMs(year: number, monthName = '', day: number, time = ''): number | undefined {
  const month = MONTHS.indexOf(monthName) + 1;
  const clock = TIME.exec(time);
  if (month === 0 || !clock || day < 1 || day > daysOf(year, month)) return undefined;
  const seconds = Number(clock[1]) * 3600 + Number(clock[2]) * 60 + Number(clock[3]);
  return daysSince1970(year, month, day) * DAY_MS + seconds * 1000;
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days from 1970-01-01 in the Gregorian calendar. Years begin in March, so that the leap day is a year's last. */
function daysSince1970(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719_468;
}
