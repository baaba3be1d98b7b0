// Modules of Node's that are dear to import and not needed by every start. Node 24 evaluates all exports of a built-in module
// that an ES module imports: of node:http these are also WebSocket and its events, and with them come all of fetch's client,
// 20 ms and 12 MiB. Asked for like this, a module is loaded when it is first used, and only what is used.
import type * as http from 'node:http';
import type * as http2 from 'node:http2';

/** node:http. */
export function nodeHttp(): typeof http {
  return process.getBuiltinModule('node:http');
}

/** node:http2. */
export function nodeHttp2(): typeof http2 {
  return process.getBuiltinModule('node:http2');
}
