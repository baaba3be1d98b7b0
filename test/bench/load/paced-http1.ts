import type { DialPaced } from './paced.ts';

/** One request at a time; takes only answers with a content-length. */
export const connectHttp1: DialPaced = (socket, { path }, { onAnswer, onTrouble }) => {
  const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`;
  let dueMs: number | undefined;
  let buffered = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    buffered += text;
    const headEnd = buffered.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(buffered.slice(0, headEnd + 2))?.[1];
    if (length === undefined || !buffered.startsWith('HTTP/1.1 200 ') || dueMs === undefined) {
      onTrouble('unexpected answer');
      return;
    }
    if (buffered.length < headEnd + 4 + Number(length)) return;
    onAnswer(dueMs, performance.now());
    buffered = '';
    dueMs = undefined;
  });
  socket.on('error', (error) => onTrouble(error.message)).on('close', () => onTrouble('closed connection'));
  return {
    send: (due) => {
      if (dueMs !== undefined) return false;
      dueMs = due;
      socket.write(request, 'latin1');
      return true;
    },
    flush: () => undefined,
  };
};
