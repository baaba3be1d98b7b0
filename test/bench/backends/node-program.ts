// The process behind backends written for Node: SCENARIO PORT.
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { scenarioNamed } from '../scenario.ts';
import { echoCalls } from './grpc-echo.ts';
import { answerRequests } from './h2-answerer.ts';

const [name = '', port] = process.argv.slice(2);
const scenario = scenarioNamed(name);
if (scenario.responseBody === undefined) throw new Error('the answer is too large');
const { upstream, isGrpc, requestBody, responseBody } = scenario;
const isEcho = isGrpc && requestBody === responseBody;

createServer({ noDelay: true }, (socket) => {
  if (upstream === 'h1') answerGets(socket, responseBody);
  else if (isEcho) echoCalls(socket);
  else answerRequests(socket, responseBody, isGrpc);
}).listen(Number(port), '127.0.0.1');

/** HTTP/1.1 straight from the socket: an empty line is a request, for bodies have none. */
function answerGets(socket: Socket, body: Buffer): void {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n`;
  const answer = head + body.toString('latin1');
  let rest = '';
  socket.on('error', () => socket.destroy());
  socket.setEncoding('latin1').on('data', (text: string) => {
    const requests = (rest + text).split('\r\n\r\n');
    rest = requests.pop() ?? '';
    if (requests.length > 0) socket.write(answer.repeat(requests.length), 'latin1');
  });
}
