// Files of a google.protobuf.FileDescriptorSet by name and by symbol, each as the bytes the compiler wrote: nothing is
// encoded again, so imports, comments and options stay. Only what an index needs is read (descriptor.proto).
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** One proto file. */
export interface DescriptorFile {
  readonly name: string;
  /** A serialized FileDescriptorProto. */
  readonly bytes: Uint8Array;
  /** Names of the files it imports. */
  readonly imports: readonly string[];
}

/** An index over proto files. */
export class DescriptorPool {
  private readonly files = new Map<string, DescriptorFile>();
  /** Full names of messages, fields, oneofs, enums, enum values, services, methods and extensions. */
  private readonly symbols = new Map<string, DescriptorFile>();
  /** Extended type → extension number → file. */
  private readonly extensions = new Map<string, Map<number, DescriptorFile>>();

  /** Reads a serialized FileDescriptorSet. Throws if it is malformed. */
  constructor(descriptorSet: Uint8Array) {
    for (const bytes of readFields(descriptorSet).bytes(1)) {
      const fields = readFields(bytes);
      const file: DescriptorFile = { name: fields.text(1), bytes, imports: fields.texts(3) };
      this.files.set(file.name, file);
      this.indexFile(file, fields);
    }
  }

  /** Names of all files. */
  fileNames(): Iterable<string> {
    return this.files.keys();
  }

  /** The file with this name. */
  file(name: string): DescriptorFile | undefined {
    return this.files.get(name);
  }

  /** The file that declares a full name, without a leading dot. */
  fileOfSymbol(symbol: string): DescriptorFile | undefined {
    return this.symbols.get(symbol);
  }

  /** The file that declares extension `number` of `type`. */
  fileOfExtension(type: string, number: number): DescriptorFile | undefined {
    return this.extensions.get(type)?.get(number);
  }

  /** Ascending numbers of the known extensions of a type; undefined for an unknown type. */
  extensionNumbers(type: string): number[] | undefined {
    const numbers = this.extensions.get(type);
    if (!numbers) return this.symbols.has(type) ? [] : undefined;
    return [...numbers.keys()].sort((a, b) => a - b);
  }

  /** A file, then all that it imports, directly or not, each once. Imports that the set lacks are left out. */
  withImports(file: DescriptorFile): DescriptorFile[] {
    const found = new Set([file]);
    for (const { imports } of found) {
      for (const name of imports) {
        const imported = this.files.get(name);
        if (imported) found.add(imported);
      }
    }
    return [...found];
  }

  private indexFile(file: DescriptorFile, fields: ReadFields): void {
    const scope = fields.text(2);
    for (const message of fields.bytes(4)) this.indexMessage(file, scope, readFields(message));
    for (const enumeration of fields.bytes(5)) this.indexEnum(file, scope, readFields(enumeration));
    for (const bytes of fields.bytes(6)) {
      const service = readFields(bytes);
      const name = this.add(file, scope, service.text(1));
      for (const method of service.bytes(2)) this.add(file, name, readFields(method).text(1));
    }
    for (const extension of fields.bytes(7)) this.indexExtension(file, scope, readFields(extension));
  }

  private indexMessage(file: DescriptorFile, scope: string, message: ReadFields): void {
    const name = this.add(file, scope, message.text(1));
    for (const field of message.bytes(2)) this.add(file, name, readFields(field).text(1));
    for (const nested of message.bytes(3)) this.indexMessage(file, name, readFields(nested));
    for (const enumeration of message.bytes(4)) this.indexEnum(file, name, readFields(enumeration));
    for (const extension of message.bytes(6)) this.indexExtension(file, name, readFields(extension));
    for (const oneof of message.bytes(8)) this.add(file, name, readFields(oneof).text(1));
  }

  private indexEnum(file: DescriptorFile, scope: string, enumeration: ReadFields): void {
    this.add(file, scope, enumeration.text(1));
    // The values of an enum are its siblings, as in C++.
    for (const value of enumeration.bytes(2)) this.add(file, scope, readFields(value).text(1));
  }

  private indexExtension(file: DescriptorFile, scope: string, extension: ReadFields): void {
    this.add(file, scope, extension.text(1));
    const type = extension.text(2).replace(/^\./, '');
    const numbers = this.extensions.get(type) ?? new Map<number, DescriptorFile>();
    numbers.set(extension.number(3), file);
    this.extensions.set(type, numbers);
  }

  private add(file: DescriptorFile, scope: string, name: string): string {
    const full = scope === '' ? name : `${scope}.${name}`;
    this.symbols.set(full, file);
    return full;
  }
}

/** The length-delimited and varint fields of a message by number; others are skipped. */
interface ReadFields {
  /** Every value of a length-delimited field. */
  bytes(field: number): readonly Uint8Array[];
  /** The same as text. */
  texts(field: number): string[];
  /** The last value as text; empty where there is none. */
  text(field: number): string;
  /** The last value of a varint field; 0 where there is none. */
  number(field: number): number;
}

function readFields(message: Uint8Array): ReadFields {
  const delimited = new Map<number, Uint8Array[]>();
  const varints = new Map<number, number>();
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type === WireType.LengthDelimited) {
      const values = delimited.get(field);
      const value = reader.bytes();
      if (values) values.push(value);
      else delimited.set(field, [value]);
    } else if (type === WireType.Varint) {
      varints.set(field, Number(reader.int64()));
    } else {
      reader.skip(type, field);
    }
  }
  const texts = (field: number): string[] => (delimited.get(field) ?? []).map((bytes) => decoder.decode(bytes));
  return {
    bytes: (field) => delimited.get(field) ?? [],
    texts,
    text: (field) => texts(field).at(-1) ?? '',
    number: (field) => varints.get(field) ?? 0,
  };
}

const decoder = new TextDecoder();
