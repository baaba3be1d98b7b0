// The text of one file → the objects in it, and everything that is wrong with it. Reads nothing else and remembers
// nothing.
import { type Document, LineCounter, parseAllDocuments } from 'yaml';
import { readNative } from '../../config/native.ts';
import { type Finding, sortFindings } from '../finding.ts';
import type { ConfigObject } from '../source.ts';
import { readApisixUpstream } from './apisix-upstream.ts';
import { readEndpointSlice } from './endpoint-slice.ts';
import { locate } from './locate.ts';
import { listItems, readHeader, recognise } from './object.ts';
import { readService } from './service.ts';
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
    // The parser recurses: a file of a hundred thousand brackets ends its stack.
    const message = `can't be read: ${(error as Error).message}`;
    reader.findings.push({ severity: 'error', file, line: 1, column: 1, object: '', path: '', message });
  }
  const failed = reader.findings.some((finding) => finding.severity === 'error');
  return { objects: reader.objects, findings: sortFindings(reader.findings), failed };
}

class FileReader {
  readonly objects: ConfigObject[] = [];
  readonly findings: Finding[] = [];
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  read(text: string): void {
    const lines = new LineCounter();
    const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
    if ('empty' in documents) return;
    for (const document of documents) this.readDocument(document, lines);
  }

  private readDocument(document: Document.Parsed, lines: LineCounter): void {
    const report = new ObjectReport(this.file, lines, document);
    for (const error of document.errors)
      report.add('error', report.originAt(error.pos[0]), '', error.message, undefined);
    for (const warning of document.warnings) {
      report.add('warning', report.originAt(warning.pos[0]), '', warning.message, undefined);
    }
    // After an error of syntax the rest of the document is a guess.
    if (document.errors.length === 0 && document.contents !== null) {
      const object = new Value(report, document.contents, '', document.contents.range[0]);
      if (!object.isEmpty) this.readObject(object, undefined);
    }
    this.findings.push(...report.findings);
  }

  private readObject(object: Value, listed: string | undefined): void {
    const members = object.anyMembers();
    if (members === undefined) return;
    const found = recognise(object, members, listed);
    if (found.as === 'nothing') return;
    if (found.as === 'List') return this.readList(members, found.kind, object);
    if (found.as === 'native') return this.readNativeObject(object, members, found.kind);
    const header = readHeader(object, members, found.kind);
    if (header === undefined) return;
    const read = { ApisixUpstream: readApisixUpstream, Service: readService, EndpointSlice: readEndpointSlice }[
      found.as
    ];
    const result = read(header);
    if (!object.report.failed) this.objects.push(result);
  }

  /** Items of a typed list (`ServiceList`) don't repeat their kind. */
  private readList(members: ReadonlyMap<string, Value>, kind: string, list: Value): void {
    const listed = kind === 'List' ? undefined : kind.slice(0, -'List'.length);
    for (const item of listItems(members)) {
      const report = new ObjectReport(this.file, list.report.lines, list.report.document);
      this.readObject(new Value(report, item.node, item.path, 0), listed);
      this.findings.push(...report.findings);
    }
  }

  private readNativeObject(object: Value, members: ReadonlyMap<string, Value>, kind: string): void {
    const header = members.get('metadata')?.anyMembers();
    const name = String(header?.get('name')?.scalar() ?? '');
    const namespace = header?.get('namespace')?.scalar();
    object.report.object = `${kind} ${namespace === undefined ? name : `${String(namespace)}/${name}`}`;
    const plain: unknown = object.node?.toJS(object.report.document, { maxAliasCount: 100 });
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
