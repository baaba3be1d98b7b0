// The findings of the control plane without the control plane: read once, translate, say what is wrong.
import { statSync } from 'node:fs';
import { fileSetFindings } from './apisix/file-set-findings.ts';
import { type Finding, formatFinding, sortFindings } from './finding.ts';
import { type FileContent, readObjects } from './read/objects.ts';
import { refusals } from './refusals.ts';
import type { ConfigObject, RefusedObject } from './source.ts';
import { listFiles } from './sources/file-list.ts';
import { readText } from './sources/read-text.ts';
import { Translator } from './translate/translator.ts';

/** What lint found. */
export interface LintResult {
  readonly findings: readonly Finding[];
  /** One line a finding, then a summary. */
  readonly text: string;
  /** 1 if there are errors, else 0. */
  readonly exitCode: 0 | 1;
}

/** Checks a directory with its subfolders, or one file. Throws where it can't be read at all. */
export function lint(path: string): LintResult {
  const findings: Finding[] = [];
  const objects: ConfigObject[] = [];
  const refused: RefusedObject[] = [];
  const files = filesOf(path, findings);
  for (const file of files) {
    const content = readFile(file);
    findings.push(...content.findings);
    objects.push(...content.objects);
    refused.push(...content.refused);
  }
  const translation = new Translator().translate(objects, refused);
  findings.push(...translation.findings, ...refusals(translation), ...fileSetFindings(objects));
  return summarise(sortFindings(findings), files.length);
}

function filesOf(path: string, findings: Finding[]): string[] {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : (error as Error).message;
    throw new Error(`can't read ${path}: ${reason}`, { cause: error });
  }
  if (!isDirectory) return [path];
  const { files, failures } = listFiles(path);
  for (const [file, reason] of failures) findings.push(wholeFile(file, `can't be listed: ${reason}`));
  return files.map((file) => file.path);
}

function readFile(path: string): Pick<FileContent, 'objects' | 'refused' | 'findings'> {
  try {
    return readObjects(readText(path), path);
  } catch (error) {
    return { objects: [], refused: [], findings: [wholeFile(path, `can't be read: ${(error as Error).message}`)] };
  }
}

function wholeFile(file: string, message: string): Finding {
  return { severity: 'error', file, line: 1, column: 1, object: '', path: '', message };
}

function summarise(findings: readonly Finding[], files: number): LintResult {
  const count = (severity: Finding['severity'], word: string): string => {
    const found = findings.filter((finding) => finding.severity === severity).length;
    return `${found} ${word}${found === 1 ? '' : 's'}`;
  };
  const sums = [count('error', 'error'), count('warning', 'warning'), count('note', 'note')].join(', ');
  const lines = [...findings.map(formatFinding), `${files} file${files === 1 ? '' : 's'}: ${sums}`];
  const exitCode = findings.some((finding) => finding.severity === 'error') ? 1 : 0;
  return { findings, text: `${lines.join('\n')}\n`, exitCode };
}
