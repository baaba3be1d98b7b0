import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate } from '../../../src/model/key-template.ts';

/** `<name>` and `<name|default>` for variables. */
function show(template: string): string {
  return parseTemplate(template)
    .map((part) =>
      part.kind === 'text' ? part.text : `<${part.name}${part.fallback === undefined ? '' : `|${part.fallback}`}>`,
    )
    .join('');
}

test('templates are taken apart', () => {
  const rows: [template: string, parts: string][] = [
    ['', ''],
    ['text', 'text'],
    ['$uri', '<uri>'],
    ['a$uri-b', 'a<uri>-b'],
    ['$http_a-$http_b', '<http_a>-<http_b>'],
    ['$http_a_second', '<http_a_second>'],
    ['$arg_a.b/c', '<arg_a.b>/c'],
    ['${uri}x', '<uri>x'],
    ['${ uri }', '<uri>'],
    ['${http_x-y}', '<http_x-y>'],
    ['${arg_a ?? none}', '<arg_a|none>'],
    ['${arg_a??none}', '<arg_a|none>'],
    ['${arg_a ?? two words}', '<arg_a|two words>'],
    ['${arg_a ??}', '<arg_a|>'],
    ['${a ?? b ?? c}', '<a|b>'],
    ['\\$uri', '\\$uri'],
    ['\\${uri}$host', '\\${uri}<host>'],
    ['$', '$'],
    ['$$uri', '$<uri>'],
    ['$-$', '$-$'],
    ['${}', '${}'],
    ['${uri', '${uri'],
  ];
  for (const [template, parts] of rows) assert.equal(show(template), parts, template);
});

test('any template is taken apart in time that grows with its length', () => {
  const long = 100_000;
  const before = process.cpuUsage();
  for (const template of [' ', 'a ', '${', '{', '??', '$', '\\$'].map((piece) => `\${ ${piece.repeat(long)}`)) {
    parseTemplate(template);
    parseTemplate(`${template}}`);
  }
  const { user } = process.cpuUsage(before);
  assert.ok(user < 2_000_000, `${user} us`);
});
