// The process behind the built-in load client: SCENARIO PORT SECONDS tls|plain. Prints a LoadOutcome as JSON. HTTP/1.1 goes over
// bare sockets and takes only answers with a content-length, as the bench's backends give.
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { scenarioNamed } from '../scenario.ts';
import type { Scenario } from '../scenario.ts';
import type { LoadOutcome } from './load.ts';

const [name = '', port, seconds, security] = process.argv.slice(2);
const scenario = scenarioNamed(name);
const secure = security === 'tls';

let answered = 0;
let over = false;
const trouble = new Map<string, number>();
const started = performance.now();
for (let index = 0; index < scenario.connections; index++) {
  if (scenario.downstream === 'h2') runHttp2(scenario);
  else runHttp1(scenario);
}
setTimeout(
  () => {
    over = true;
    const outcome: LoadOutcome = {
      answered,
      seconds: (performance.now() - started) / 1000,
      trouble: [...trouble].map(([what, count]) => `${count} × ${what}`).join(', '),
    };
    process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
  },
  Number(seconds) * 1000,
);

function note(what: string): void {
  if (!over) trouble.set(what, (trouble.get(what) ?? 0) + 1);
}

function runHttp1({ path, requestBody }: Scenario): void {
  const head = `${requestBody === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n`;
  const body = requestBody?.toString('latin1') ?? '';
  const request = requestBody === undefined ? `${head}\r\n` : `${head}content-length: ${body.length}\r\n\r\n${body}`;
  const options = { host: '127.0.0.1', port: Number(port) };
  const socket = secure ? connectTls({ ...options, rejectUnauthorized: false }) : connect(options);
  socket.setNoDelay(true);
  let buffered = '';
  socket.on(secure ? 'secureConnect' : 'connect', () => socket.write(request, 'latin1'));
  socket.setEncoding('latin1').on('data', (text: string) => {
    buffered += text;
    const headEnd = buffered.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(buffered.slice(0, headEnd + 2))?.[1];
    if (length === undefined) {
      note('answer without content-length');
      socket.destroy();
      return;
    }
    if (buffered.length < headEnd + 4 + Number(length)) return;
    if (buffered.startsWith('HTTP/1.1 2')) answered++;
    else note('status');
    buffered = '';
    socket.write(request, 'latin1');
  });
  socket.on('error', (error) => note(error.message));
  socket.on('close', () => note('closed connection'));
}

function runHttp2({ path, streams, requestBody, isGrpc }: Scenario): void {
  const session = connectHttp2(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', (error) => note(error.message));
  const plain = { ':method': requestBody === undefined ? 'GET' : 'POST', ':path': path };
  const headers = isGrpc ? { ...plain, 'content-type': 'application/grpc', te: 'trailers' } : plain;
  const call = (): void => {
    const stream = session.request(headers);
    let isGood = false;
    stream.on('response', (answer) => (isGood = answer[':status'] === 200));
    stream.on('error', (error) => note(error.message));
    stream.on('close', () => {
      if (isGood) answered++;
      else note('status');
      if (!over && !session.destroyed) call();
    });
    stream.resume();
    stream.end(requestBody);
  };
  for (let index = 0; index < streams; index++) call();
}
