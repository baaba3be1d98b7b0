// The templates of `hash_on: vars_combinations`: text with `$name`, `${name}` and `${name ?? default}` in it.

/** A piece of a template: text, or a variable with what stands for it where it has no value. */
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'variable'; readonly name: string; readonly fallback: string | undefined };

/** A dollar sign behind a backslash is no variable's. Blanks around a name in braces and around `??` don't count. */
const VARIABLE = /(?<!\\)\$(?:\{([^{}]*)\}|([\w.]+))/g;

/**
 * Takes a template apart. `\$` stays as it is, backslash included (so does APISIX, and keys must be the same), and so does a
 * dollar sign that no name follows. No template is malformed.
 */
export function parseTemplate(template: string): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let at = 0;
  for (const match of template.matchAll(VARIABLE)) {
    if (match[1]?.trim() === '') continue; // braces without a name are text
    if (match.index > at) parts.push({ kind: 'text', text: template.slice(at, match.index) });
    parts.push({ kind: 'variable', ...named(match[1] ?? match[2] ?? '') });
    at = match.index + match[0].length;
  }
  if (at < template.length) parts.push({ kind: 'text', text: template.slice(at) });
  return parts;
}

/** `name ?? default`. Blanks at either end and around the first `??` don't count, nor does what follows a second one. */
function named(text: string): { readonly name: string; readonly fallback: string | undefined } {
  const [name = '', fallback] = text.trim().split('??');
  return { name: name.trim(), fallback: fallback?.trim() };
}
