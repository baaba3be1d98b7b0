// The text of one file → the objects in it, and everything that is wrong with it. Reads nothing else and remembers
// nothing.
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import { readNative } from '../../config/native.ts';
import { type Finding, sortFindings } from '../finding.ts';
import type { ConfigObject } from '../source.ts';
import { readAliases } from './aliases.ts';
import { readApisixUpstream } from './apisix-upstream.ts';
import { readEndpointSlice } from './endpoint-slice.ts';
import { locate } from './locate.ts';
import { listItems, type ObjectHeader, readHeader, recognise } from './object.ts';
import { readSecret } from './secret.ts';
import { readService } from './service.ts';
import { failureMessage, mayHoldSecrets, syntaxMessage } from './syntax-message.ts';
import { ObjectReport, Value } from './value.ts';

/** What a file holds. */
export interface FileContent {
  /** The objects without an error. */
  readonly objects: readonly ConfigObject[];
  readonly findings: readonly Finding[];
  /** Whether anything in it is an error. */
  readonly failed: boolean;
}

/** Reads YAML (several documents, lists) or JSON. Never throws. */
export function readObjects(text: string, file: string): FileContent {
  const reader = new FileReader(file);
  try {
    reader.read(text);
  } catch (error) {
    const why = failureMessage(error as Error, mayHoldSecrets(text));
    const message = `can't be read: ${why}`;
    reader.findings.push({ severity: 'error', file, line: 1, column: 1, object: '', path: '', message });
  }
  const failed = reader.findings.some((finding) => finding.severity === 'error');
  return { objects: reader.objects, findings: sortFindings(reader.findings), failed };
}

/** Syntax errors told of one document; after the first the parser mostly guesses. */
const MAX_SYNTAX_ERRORS = 5;

const READERS = {
  ApisixUpstream: readApisixUpstream,
  Service: readService,
  EndpointSlice: readEndpointSlice,
  Secret: readSecret,
} satisfies Readonly<Record<string, (header: ObjectHeader) => ConfigObject | undefined>>;

class FileReader {
  readonly objects: ConfigObject[] = [];
  readonly findings: Finding[] = [];
  private readonly file: string;
  private hidesText = false;

  constructor(file: string) {
    this.file = file;
  }

  read(text: string): void {
    this.hidesText = mayHoldSecrets(text);
    const lines = new LineCounter();
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
    if ('empty' in documents) return;
    for (const document of documents) this.readDocument(document, lines);
  }

  private readDocument(document: Document.Parsed, lines: LineCounter): void {
    const { targets, problem } = readAliases(document.contents);
    const report = new ObjectReport(this.file, lines, targets);
    for (const error of document.errors.slice(0, MAX_SYNTAX_ERRORS))
      report.add('error', report.originAt(error.pos[0]), '', syntaxMessage(error, this.hidesText), undefined);
    for (const warning of document.warnings) {
      const message = syntaxMessage(warning, this.hidesText);
      report.add('warning', report.originAt(warning.pos[0]), '', message, undefined);
    }
    // After an error of syntax the rest of the document is a guess.
    if (document.errors.length === 0 && problem !== undefined) {
      const { message, fix } = this.hidesText
        ? { message: 'an alias here stands for nothing', fix: 'put a text that begins with * in quotes' }
        : { message: problem.message, fix: 'write out what it stands for' };
      report.add('error', report.originAt(problem.alias.range?.[0] ?? 0), '', message, fix);
    } else if (document.errors.length === 0 && document.contents !== null) {
      const object = new Value(report, document.contents, '', document.contents.range[0]);
      if (!object.isEmpty) this.readObject(object, undefined, document);
    }
    this.findings.push(...report.findings);
  }

  private readObject(object: Value, listed: string | undefined, document: Document.Parsed): void {
    const members = object.anyMembers();
    if (members === undefined) return;
    const found = recognise(object, members, listed);
    if (found.as === 'nothing') return;
    if (found.as === 'List') return this.readList(members, found.kind, object, document);
    if (found.as === 'native') return this.readNativeObject(object, members, found.kind, document);
    const header = readHeader(object, members, found.kind);
    if (header === undefined) return;
    const result = READERS[found.as](header);
    if (result !== undefined && !object.report.failed) this.objects.push(result);
  }

  /** Items of a typed list (`ServiceList`) don't repeat their kind. */
  private readList(members: ReadonlyMap<string, Value>, kind: string, list: Value, document: Document.Parsed): void {
    const listed = kind === 'List' ? undefined : kind.slice(0, -'List'.length);
    for (const item of listItems(members)) {
      const report = new ObjectReport(this.file, list.report.lines, list.report.aliases);
      this.readObject(new Value(report, item.node, item.path, 0), listed, document);
      this.findings.push(...report.findings);
    }
  }

  private readNativeObject(
    object: Value,
    members: ReadonlyMap<string, Value>,
    kind: string,
    document: Document.Parsed,
  ): void {
    const header = members.get('metadata')?.anyMembers();
    const name = String(header?.get('name')?.scalar() ?? '');
    const namespace = header?.get('namespace')?.scalar();
    object.report.object = `${kind} ${namespace === undefined ? name : `${String(namespace)}/${name}`}`.trimEnd();
    const plain: unknown = object.node?.toJS(document, { maxAliasCount: -1 });
    const read = readNative(plain);
    if (read.ok) {
      const { kind: resourceKind, name: resourceName, bytes } = read;
      this.objects.push({ kind: 'native', resourceKind, name: resourceName, bytes, origin: object.origin });
      return;
    }
    for (const problem of read.problems) {
      object.report.add('error', locate(object, problem.path), problem.path, problem.reason, undefined);
    }
  }
}
