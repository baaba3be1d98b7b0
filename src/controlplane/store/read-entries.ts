import type { ObjectId } from '../apisix/object-type.ts';
import type { ReadApisixObject, ReadObject, ReadResult } from '../apisix/read-object.ts';
import type { JsonObject } from './store.ts';

/** Reads objects of a store, each value once. */
export class EntryReader {
  private readonly readObject: ReadApisixObject;
  private readonly results = new WeakMap<JsonObject, ReadResult>();

  constructor(readObject: ReadApisixObject) {
    this.readObject = readObject;
  }

  /** What the object of a stored value is. */
  read(id: ObjectId, value: JsonObject): ReadResult {
    const known = this.results.get(value);
    if (known !== undefined) return known;
    const result = this.readObject(id, value);
    this.results.set(value, result);
    return result;
  }

  /** Takes an object that was read already, whose value is about to be stored. */
  remember(object: ReadObject): void {
    this.results.set(object.value, { ok: true, object });
  }
}
