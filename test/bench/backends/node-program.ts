// The process behind backends written for Node: SCENARIO PORT.
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { chooseScenarios } from '../scenario.ts';
import { answerCalls } from './grpc-answerer.ts';

const [name = '', port] = process.argv.slice(2);
const [scenario] = chooseScenarios([name]);
if (scenario === undefined) throw new Error('SCENARIO is missing');
const body = scenario.responseBody;

createServer(
  { noDelay: true },
  scenario.protocol === 'grpc' ? (socket) => answerCalls(socket, body) : answerGets,
).listen(Number(port), '127.0.0.1');

/** HTTP/1.1 straight from the socket: the load sends GETs without a body, so an empty line ends a request. */
function answerGets(socket: Socket): void {
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
