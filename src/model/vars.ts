// Conditions on the variables of a request (APISIX Route `vars`), as a tree.

/** What a variable is held against a value with. */
export type VarsOperator = '==' | '~=' | '>' | '<' | '>=' | '<=' | '~~' | '~*' | 'in' | 'has' | 'ipmatch';

/** A condition, or several. */
export type VarsExpression =
  /** `not`: the comparison is turned round (APISIX `!`). */
  | {
      readonly kind: 'compare';
      /** Name without `$`. */
      readonly variable: string;
      readonly not: boolean;
      readonly operator: VarsOperator;
      readonly value: VarsValue;
    }
  /** All must hold; none is there: it holds. `not`: turned round (`!AND`). */
  | { readonly kind: 'and'; readonly not: boolean; readonly members: readonly VarsExpression[] }
  /** One must hold. `not`: turned round (`!OR`). */
  | { readonly kind: 'or'; readonly not: boolean; readonly members: readonly VarsExpression[] };

/** What stands on the right of an operator. */
export type VarsValue = string | number | boolean | null | readonly (string | number | boolean)[];
