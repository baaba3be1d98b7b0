// Conditions on the variables of a request (APISIX Route `vars`), compiled once. They mean what they mean to APISIX
// (lua-resty-expr): a variable is text or there is none, a number is compared by its value only where it stands by
// itself on the right, and `!` turns the outcome round whatever the outcome came from, an absent variable too.
import { compileRegex } from '../base/linear-regex.ts';
import type { VarsExpression, VarsValue } from '../model/vars.ts';
import { compileAddressBlocks } from './address-block.ts';
import { toLatin1 } from './latin1.ts';
import { compileVariable, type HashedRequest } from './request-variables.ts';

/** Whether conditions hold for a request. */
export type Holds = (request: HashedRequest) => boolean;

type Comparison = Extract<VarsExpression, { kind: 'compare' }>;
/** Whether a variable's value, undefined where it has none, stands in the relation. */
type Relation = (value: string | undefined) => boolean;

/**
 * Compiles conditions. An unknown variable has no value. A comparison whose regular expression isn't one that
 * `regexProblem` takes never holds, with `!` neither.
 */
export function compileVars(expression: VarsExpression): Holds {
  if (expression.kind === 'compare') return compileComparison(expression);
  const { not } = expression;
  const members = expression.members.map(compileVars);
  // Of `and` the first that doesn't hold decides, of `or` the first that does.
  const decisive = expression.kind === 'or';
  return (request) => {
    for (const holds of members) if (holds(request) === decisive) return decisive !== not;
    return decisive === not;
  };
}

function compileComparison(comparison: Comparison): Holds {
  const { not } = comparison;
  const read = compileVariable(toLatin1(comparison.variable));
  const relation = compileRelation(comparison);
  if (relation === undefined) return () => false;
  if (read === undefined) {
    const outcome = relation(undefined) !== not;
    return () => outcome;
  }
  return (request) => relation(read(request)) !== not;
}

/** Undefined: a regular expression that is none. */
function compileRelation({ operator, value }: Comparison): Relation | undefined {
  switch (operator) {
    case '==':
      return equals(value);
    case '~=': {
      const isEqual = equals(value);
      return (left) => !isEqual(left);
    }
    case '>':
      return ordered(value, (left, right) => left > right);
    case '<':
      return ordered(value, (left, right) => left < right);
    case '>=':
      return ordered(value, (left, right) => left >= right);
    case '<=':
      return ordered(value, (left, right) => left <= right);
    case '~~':
      return matches(value, false);
    case '~*':
      return matches(value, true);
    case 'in': {
      // A text is never one of the numbers in a list, to APISIX neither.
      const texts = new Set(textsOf(value).map(toLatin1));
      return (left) => left !== undefined && texts.has(left);
    }
    case 'has':
      // Asks whether a list has the value. No variable that is known here is a list.
      return () => false;
    case 'ipmatch': {
      const isIn = compileAddressBlocks(typeof value === 'string' ? [value] : textsOf(value));
      return (left) => left !== undefined && isIn(left);
    }
  }
}

/** With a number by value, with text by text; null is a variable without a value. A text is no boolean and no list. */
function equals(value: VarsValue): Relation {
  if (value === null) return (left) => left === undefined;
  if (typeof value === 'number') return (left) => left !== undefined && numberOf(left) === value;
  if (typeof value !== 'string') return () => false;
  const text = toLatin1(value);
  return (left) => left === text;
}

/** By value, also where the right side is text; what isn't a number on either side is in no order. */
function ordered(value: VarsValue, holds: (left: number, right: number) => boolean): Relation {
  const right = typeof value === 'number' ? value : typeof value === 'string' ? numberOf(value) : Number.NaN;
  return (left) => left !== undefined && holds(numberOf(left), right);
}

function matches(value: VarsValue, ignoresCase: boolean): Relation | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const regex = compileRegex(toLatin1(String(value)), ignoresCase);
  if (typeof regex === 'string') return undefined;
  return (left) => left !== undefined && regex.test(left);
}

function textsOf(value: VarsValue): string[] {
  return isList(value) ? value.filter((member) => typeof member === 'string') : [];
}

function isList(value: VarsValue): value is Extract<VarsValue, readonly unknown[]> {
  return Array.isArray(value);
}

/** Decimal with fraction and exponent, or hexadecimal, blanks around it, as Lua's `tonumber` reads. */
const NUMBER = /^[\t-\r ]*([+-]?)(0[xX][0-9A-Fa-f]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[\t-\r ]*$/;

/** NaN: it is none. */
function numberOf(text: string): number {
  const match = NUMBER.exec(text);
  if (match === null) return Number.NaN;
  return match[1] === '-' ? -Number(match[2]) : Number(match[2]);
}
