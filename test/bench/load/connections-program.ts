// The process behind connections.ts: SCENARIO PORT tls|plain SECONDS|hold CONNECTIONS. Each connection makes a full handshake, sends
// one GET and reads the answer. With SECONDS it is closed then and followed by another; the LoadOutcome is printed at the
// end. With `hold` it stays, the LoadOutcome is printed when all are there, and a connection that ends is an error.
import { connect } from 'node:net';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { scenarioNamed } from '../scenario.ts';
import type { LoadOutcome } from './load.ts';

/** Most connections that are opened at a time. */
const OPENING = 32;

const [name = '', port, security, duration, count] = process.argv.slice(2);
const scenario = scenarioNamed(name);
const connections = Number(count);
const { path } = scenario;
const hold = duration === 'hold';
const request = `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
const address = { host: '127.0.0.1', port: Number(port) };
const secureContext = createSecureContext({ minVersion: 'TLSv1.3' });

let answered = 0;
let opened = 0;
let over = false;
const trouble = new Map<string, number>();
const started = performance.now();
for (let index = 0; index < Math.min(connections, OPENING); index++) open();
if (!hold) setTimeout(() => finish(() => process.exit(0)), Number(duration) * 1000);

function finish(written?: () => void): void {
  over = true;
  const outcome: LoadOutcome = {
    answered,
    seconds: (performance.now() - started) / 1000,
    trouble: [...trouble].map(([what, count]) => `${count} × ${what}`).join(', '),
  };
  process.stdout.write(`${JSON.stringify(outcome)}\n`, written);
}

function open(): void {
  if (over || (hold && opened === connections)) return;
  opened++;
  const secure = security === 'tls';
  const socket = secure
    ? connectTls({
        ...address,
        servername: 'localhost',
        secureContext,
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
      })
    : connect(address);
  socket.setNoDelay(true);
  let buffered = '';
  let isDone = false;
  socket.on(secure ? 'secureConnect' : 'connect', () => {
    if (socket instanceof TLSSocket && socket.isSessionReused()) note('resumed session');
    socket.write(request, 'latin1');
  });
  socket.setEncoding('latin1').on('data', (text: string) => {
    if (isDone) return;
    buffered += text;
    const headEnd = buffered.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(buffered.slice(0, headEnd + 2))?.[1];
    if (length === undefined || buffered.length < headEnd + 4 + Number(length)) {
      if (length === undefined) socket.destroy(new Error('answer without content-length'));
      return;
    }
    isDone = true;
    if (buffered.startsWith('HTTP/1.1 200 ')) answered++;
    else note('status');
    if (!hold) socket.end();
    else if (answered === connections) finish();
    else open();
  });
  socket.on('error', (error) => note(error.message));
  socket.on('close', () => {
    if (hold || !isDone) note('closed connection');
    if (!hold) open();
  });
}

/** What goes wrong ends a client that holds connections, with the reason on stderr. */
function note(what: string): void {
  if (hold) process.stderr.write(`${what}\n`, () => process.exit(1));
  if (!over) trouble.set(what, (trouble.get(what) ?? 0) + 1);
}
