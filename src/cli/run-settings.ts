import { readFile } from 'node:fs/promises';
import type { YAMLError } from 'yaml';
import { describeProblems } from '../config/resource.ts';
import type { Bootstrap } from '../gen/outrigger/config/v1/bootstrap.ts';
import { readListenFlags } from '../config/listen-flags.ts';
import { checkControlled, resolveSettings, SettingsError, type Resolved } from '../config/settings.ts';
import { failureMessage, mayHoldSecrets, syntaxMessage } from '../controlplane/read/syntax-message.ts';
import type { CommandContext } from './command.ts';
import { UsageError } from './usage.ts';

/** Settings of `run` from flags, environment and file. Throws UsageError or SettingsError with the place and the fix. */
export async function readRunSettings(context: CommandContext): Promise<Resolved> {
  const [extra] = context.positionals;
  if (extra !== undefined) throw new UsageError(`unexpected argument '${extra}'`);
  const file = context.flags['config'];
  const bootstrap = typeof file === 'string' ? await readBootstrapFile(file) : undefined;
  const listeners = readListenFlags(context.tokens);
  const resolved = resolveSettings(context.flags, context.environment, bootstrap, String(file), listeners);
  checkControlled(resolved.settings);
  return resolved;
}

async function readBootstrapFile(path: string): Promise<Bootstrap> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new SettingsError(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  const { isScalar, parseAllDocuments } = await import('yaml');
  const { readBootstrap } = await import('../config/bootstrap.ts');
  const documents = parseAllDocuments(text, { merge: true });
  if ('empty' in documents) throw new SettingsError(`${path}: is empty; write \`kind: Bootstrap\` and a spec`);
  const error = documents.flatMap(({ errors }) => errors)[0];
  const hidesText = mayHoldSecrets(text); // an inline client_key
  if (error) {
    const [first = ''] = syntaxMessage(error, hidesText).split('\n'); // what follows draws the place
    throw new SettingsError(`${path}${hidesText ? placeOf(error) : ''}: ${first.replace(/:$/, '')}`);
  }
  const [document, ...further] = documents.filter(
    ({ contents }) => contents !== null && !(isScalar(contents) && contents.value === null),
  );
  if (document === undefined) throw new SettingsError(`${path}: is empty; write \`kind: Bootstrap\` and a spec`);
  if (further.length > 0) throw new SettingsError(`${path}: holds several documents; leave one, the Bootstrap`);
  let content: unknown;
  try {
    content = document.toJS();
  } catch (cause) {
    // Too many aliases, or one without its anchor.
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new SettingsError(`${path}: is no valid YAML: ${failureMessage({ message }, hidesText)}`);
  }
  const result = readBootstrap(content);
  if (!result.ok) throw new SettingsError(`${path}: ${describeProblems(result.problems)}`);
  return result.bootstrap;
}

/** `:LINE:COLUMN`, from 1; messages of the parser itself end in it. */
function placeOf({ linePos }: YAMLError): string {
  const [start] = linePos ?? [];
  return start ? `:${start.line}:${start.col}` : '';
}
