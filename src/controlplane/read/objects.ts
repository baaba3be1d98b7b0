// The text of one file → the objects in it, and everything that is wrong with it. Reads nothing else and remembers
// nothing.
import { type Document, isMap, LineCounter, parseAllDocuments } from 'yaml';
import { readNative } from '../../config/native.ts';
import { hasEndMark, isStandalone, needsEndMark, NO_END_MARK, readStandalone } from '../apisix/standalone.ts';
import { type Finding, sortFindings } from '../finding.ts';
import type { ConfigObject, NativeObject, RefusedObject } from '../source.ts';
import { readAliases } from './aliases.ts';
import { readApisixUpstream } from './apisix-upstream.ts';
import { readEndpointSlice } from './endpoint-slice.ts';
import { locate } from './locate.ts';
import { nativeReferences } from './native-references.ts';
import { listItems, nameInSpiteOfErrors, type ObjectHeader, type ReadAs, readHeader, recognise } from './object.ts';
import { reportUnknownKeys } from './object-keys.ts';
import { reportRepeatedNodes } from './repeated-nodes.ts';
import { readSecret } from './secret.ts';
import { readService } from './service.ts';
import { jsonFault } from './json-fault.ts';
import { failureMessage, mayHoldSecrets, syntaxMessage } from './syntax-message.ts';
import { ObjectReport, Value } from './value.ts';

/** What a file holds. */
export interface FileContent {
  /** The objects without an error. */
  readonly objects: readonly ConfigObject[];
  /** The objects with an error, as far as their names can be read. */
  readonly refused: readonly RefusedObject[];
  /** Whether an error hides the kind or name of an object, or leaves it a guess: it may be any. */
  readonly hasNameless: boolean;
  /** Whether it is no valid YAML; what is read of it then may lack anything. */
  readonly isBroken: boolean;
  /** Whether nothing stands in it but comments and marks between documents. */
  readonly isEmpty: boolean;
  readonly findings: readonly Finding[];
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
    reader.isBroken = true;
  }
  const { objects, refused, hasNameless, isBroken, isEmpty } = reader;
  return {
    objects,
    refused,
    hasNameless,
    isBroken,
    isEmpty: isEmpty && !isBroken,
    findings: sortFindings(reader.findings),
  };
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
  readonly refused: RefusedObject[] = [];
  readonly findings: Finding[] = [];
  hasNameless = false;
  isBroken = false;
  isEmpty = true;
  private readonly file: string;
  private hidesText = false;
  private hasEnd = false;
  /** The text of a JSON file. */
  private jsonText: string | undefined;

  constructor(file: string) {
    this.file = file;
  }

  read(text: string): void {
    this.hidesText = mayHoldSecrets(text);
    this.hasEnd = hasEndMark(text);
    if (this.file.endsWith('.json')) this.jsonText = text;
    const lines = new LineCounter();
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
    if ('empty' in documents) return;
    for (const document of documents) this.readDocument(document, lines);
  }

  private readDocument(document: Document.Parsed, lines: LineCounter): void {
    const { targets, problem } = readAliases(document.contents);
    const report = new ObjectReport(this.file, lines, targets);
    if (document.errors.length > 0 && !this.tellJsonFault(report)) {
      for (const error of document.errors.slice(0, MAX_SYNTAX_ERRORS))
        report.add('error', report.originAt(error.pos[0]), '', syntaxMessage(error, this.hidesText), undefined);
    }
    for (const warning of document.warnings) {
      const message = syntaxMessage(warning, this.hidesText);
      report.add('warning', report.originAt(warning.pos[0]), '', message, undefined);
    }
    const object = new Value(report, document.contents, '', document.contents?.range[0] ?? 0);
    if (problem !== undefined && document.errors.length === 0) {
      const { message, fix } = this.hidesText
        ? { message: 'an alias here stands for nothing', fix: 'put a text that begins with * in quotes' }
        : { message: problem.message, fix: 'write out what it stands for' };
      report.add('error', report.originAt(problem.alias.range?.[0] ?? 0), '', message, fix);
    }
    this.findings.push(...report.findings);
    if (problem !== undefined) this.isBroken = true;
    else if (document.errors.length > 0) this.readBroken(object);
    else if (!object.isEmpty) {
      this.isEmpty = false;
      const members = isMap(object.node) ? object.anyMembers() : undefined;
      if (members !== undefined && isStandalone(members, this.hasEnd)) this.readStandalone(object, members, document);
      else this.readObject(object, undefined, document);
    }
  }

  /** Of a JSON file that can't be read, what is wrong in the words of JSON; whether it is one. */
  private tellJsonFault(report: ObjectReport): boolean {
    if (this.jsonText === undefined) return false;
    const fault = jsonFault(this.jsonText, this.hidesText);
    if (fault === undefined) return false;
    // What follows it may be taken for further documents.
    if (!this.isBroken) report.add('error', report.originAt(fault.offset), '', fault.message, undefined);
    return true;
  }

  private readStandalone(object: Value, members: ReadonlyMap<string, Value>, document: Document.Parsed): void {
    if (needsEndMark(object) && !this.hasEnd) {
      const report = new ObjectReport(this.file, object.report.lines, object.report.aliases);
      report.add('error', report.originAt(object.node?.range?.[2] ?? 0), '', NO_END_MARK.message, NO_END_MARK.fix);
      this.findings.push(...report.findings, ...readStandalone(object, members, document).findings);
      this.isBroken = true;
      return;
    }
    const { objects, refused, hasNameless, findings } = readStandalone(object, members, document);
    this.objects.push(...objects);
    this.refused.push(...refused);
    this.findings.push(...findings);
    this.hasNameless ||= hasNameless;
  }

  /** After an error of syntax the rest of the document is a guess; what object it is may be right all the same. */
  private readBroken(object: Value): void {
    this.isBroken = true;
    const members = isMap(object.node) ? object.anyMembers() : undefined;
    const named = members && nameInSpiteOfErrors(members);
    if (named !== undefined) this.refused.push({ object: named.object, origin: object.origin });
  }

  private readObject(given: Value, listed: string | undefined, document: Document.Parsed): void {
    // Each object has a report of its own, which says whether it is refused.
    const report = new ObjectReport(this.file, given.report.lines, given.report.aliases);
    const object = new Value(report, given.node, given.path, given.offset);
    const members = object.anyMembers();
    const found = members && recognise(object, members, listed);
    const result = members && found && this.readAs(found, object, members, document);
    this.findings.push(...report.findings);
    if (!report.failed) {
      if (result !== undefined) this.objects.push(result);
      return;
    }
    const named = members && nameInSpiteOfErrors(members, listed);
    if (named?.isGuess !== false) this.hasNameless = true;
    if (named !== undefined) this.refused.push({ object: named.object, origin: object.origin });
  }

  private readAs(
    found: ReadAs,
    object: Value,
    members: ReadonlyMap<string, Value>,
    document: Document.Parsed,
  ): ConfigObject | undefined {
    if (found.as === 'nothing') return undefined;
    if (found.as === 'native') return this.readNativeObject(object, members, found.kind, document);
    if (found.as === 'List') {
      this.readList(members, found.kind, document);
      return undefined;
    }
    reportUnknownKeys(members, found.as);
    const header = readHeader(object, members, found.kind);
    return header && READERS[found.as](header);
  }

  /** Items of a typed list (`ServiceList`) don't repeat their kind. */
  private readList(members: ReadonlyMap<string, Value>, kind: string, document: Document.Parsed): void {
    const listed = kind === 'List' ? undefined : kind.slice(0, -'List'.length);
    if (listed === undefined || listed in READERS) reportUnknownKeys(members, 'List');
    for (const item of listItems(members)) this.readObject(item, listed, document);
  }

  private readNativeObject(
    object: Value,
    members: ReadonlyMap<string, Value>,
    kind: string,
    document: Document.Parsed,
  ): NativeObject | undefined {
    const header = members.get('metadata')?.anyMembers();
    const name = String(header?.get('name')?.scalar() ?? '');
    const namespace = header?.get('namespace')?.scalar();
    object.report.object = `${kind} ${namespace === undefined ? name : `${String(namespace)}/${name}`}`.trimEnd();
    const plain: unknown = object.node?.toJS(document, { maxAliasCount: -1 });
    const read = readNative(plain);
    if (read.ok) {
      const { kind: resourceKind, name: resourceName, bytes } = read;
      reportRepeatedNodes(object, read.resource);
      const references = nativeReferences(object, read.resource);
      return { kind: 'native', resourceKind, name: resourceName, bytes, origin: object.origin, references };
    }
    for (const problem of read.problems) {
      object.report.add('error', locate(object, problem.path), problem.path, problem.reason, undefined);
    }
    return undefined;
  }
}
