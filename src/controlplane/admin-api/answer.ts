/** What a request is answered. */
export interface Answer {
  readonly status: number;
  /** Sent as JSON; undefined: no body. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal in APISIX's shape. `more`: further members beside `error_msg`. */
export function refusal(status: number, message: string, more: Readonly<Record<string, unknown>> = {}): Answer {
  return { status, body: { error_msg: message, ...more } };
}

/** An object that isn't there (APISIX's words). */
export const KEY_NOT_FOUND: Answer = { status: 404, body: { message: 'Key not found' } };
