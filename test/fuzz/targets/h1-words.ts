// What HTTP/1 inputs are made of.

/** Turns text into bytes, a character a byte. */
export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

export const FIELD_LINES = [
  'Host: a\r\n', 'host:b:80\r\n', 'Content-Length: 3\r\n', 'Content-Length: 0\r\n', 'content-length: 03\r\n', 'Content-Length: 3, 3\r\n',
  'Content-Length : 3\r\n', 'Transfer-Encoding: chunked\r\n', 'transfer-encoding: Chunked \r\n', 'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding: chunked, identity\r\n', 'Transfer-Encoding:\tchunked\r\n', 'Transfer-Encoding: "chunked"\r\n', 'Transfer-Encoding: chunked;a=b\r\n',
  'Transfer_Encoding: chunked\r\n', 'Connection: close\r\n', 'Connection: keep-alive\r\n', 'Connection: x, Content-Length, Host, te\r\n',
  'Connection: Upgrade\r\n', 'Connection: TE, Keep-Alive, Upgrade, x-y\r\n', 'Upgrade: websocket\r\n', 'Upgrade: h2c, websocket\r\n', 'HTTP2-Settings: AAMAAABk\r\n',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n', 'Keep-Alive: timeout=5, max=1\r\n', 'Proxy-Connection: keep-alive\r\n', 'Expect: 100-continue\r\n',
  'Expect: x\r\n', 'TE: trailers\r\n', 'TE: gzip, Trailers;q=1\r\n', 'Trailer: x-t\r\n', 'Cookie: a=b; c=d\r\n', 'cookie: e\r\n', 'X: y\r\n', 'X:\r\n', 'X:\ty \t\r\n',
  'X-Y: \x80\xff\r\n', '__proto__: x\r\n', 'constructor: y\r\n', 'x-y: 1\r\n', 'grpc-timeout: 1S\r\n', ' fold\r\n', '\tfold\r\n', ': x\r\n', 'Xy\r\n', 'X(y): z\r\n', 'X: a\0b\r\n',
  'X: a\rb\r\n', 'X: a\nb\r\n',
]; // prettier-ignore

const BITS = [
  'GET ', 'POST ', 'HEAD ', 'OPTIONS ', 'CONNECT ', 'TRACE ', 'PUT ', 'get ', 'FROB ', 'M-SEARCH ', '/', '/a?b=c', '*', 'http://a/', 'HTTP://A:80?x', 'https://a', 'http://u@a/',
  '//a/b', '/../%2e%2E/', '/a#b', 'a:443', '[::1]:80', ' HTTP/1.1\r\n', ' HTTP/1.0\r\n', ' HTTP/1.2\r\n', ' HTTP/2.0\r\n', ' HTTP/1.10\r\n', ' http/1.1\r\n', ' HTTP/1.1',
  'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 204 \r\n', 'HTTP/1.1 304\r\n', 'HTTP/1.1 103 x\r\n', 'HTTP/1.1 101 x\r\n', 'HTTP/1.0 200\r\n', 'HTTP/1.1 999 \xff\r\n',
  '\r\n', '\n', '\r', '\0', '\x80', '\x7f', ':', ' ', '\t', ',', ';', '"', '\\', '=', 'chunked', 'gzip', 'close', 'Content-Length', 'Transfer-Encoding', 'Host',
]; // prettier-ignore

export const CHUNKS = [
  '0\r\n\r\n', '0\r\n', '000\r\n\r\n', '3\r\nabc\r\n', '3;a=b\r\nabc\r\n', '3;a="\\"x"\r\nabc\r\n', '3;a\r\nabc\r\n', '3 \r\nabc\r\n', '3 ;a\r\nabc\r\n', '3;a="\r\nabc\r\n', '+3\r\n', '0x3\r\n',
  ' 3\r\nabc\r\n', 'A\r\n0123456789\r\n', 'a;x=y;z\r\n0123456789\r\n', 'ffffffffffffffff\r\n', '1fffffffffffff\r\n', '3\nabc\n', '3\r\nabc', '3\r\nabcd\r\n', '\r\n', ';\r\n', '0\r\nT: 1\r\n\r\n',
  '0\r\nContent-Length: 3\r\nx-t: 2\r\n\r\n', '0;a\r\nT:\r\nT: \x80\r\n\r\n', '0\r\n fold\r\n\r\n', '0\n\n', '1;a=\xff\r\nz\r\n',
]; // prettier-ignore

/** The dictionary. */
export const H1_WORDS: readonly Buffer[] = [...FIELD_LINES, ...BITS, ...CHUNKS].map(latin1);
