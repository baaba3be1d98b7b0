import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { writeCertificate } from '../certificate.ts';
import { checkAnswer } from '../check-answer.ts';
import { Children } from '../child.ts';
import { scenarioNamed } from '../scenario.ts';
import type { Workbench } from '../workbench.ts';
import { connectionsTool, holdConnections } from './connections.ts';

describe('connections over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-test-'));
  const cores = { proxy: 0, others: 0, pinned: false };
  const handshakes = scenarioNamed('tls-handshakes');
  const closers: (() => void)[] = [];
  let bench: Workbench;
  let shown: TlsOptions;

  before(async () => {
    const certificate = await writeCertificate(folder);
    bench = { children: new Children(cores), folder, node: process.execPath, certificate };
    shown = await loadShown(certificate);
  });

  after(() => {
    for (const close of closers) close();
    rmSync(folder, { recursive: true });
  });

  async function loadShown(files: { certificate: string; key: string }): Promise<TlsOptions> {
    return { cert: await readFile(files.certificate), key: await readFile(files.key) };
  }

  /** An HTTPS server with the body of the scenario; gives its port. */
  async function serve(options: TlsOptions): Promise<number> {
    const server = createHttpsServer(options, (_, response) => response.end(handshakes.responseBody));
    closers.push(() => server.close().closeAllConnections());
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return (server.address() as AddressInfo).port;
  }

  it('takes only TLS 1.3 with the certificate of the run', async () => {
    await checkAnswer(bench, handshakes, await serve(shown));
    const older = await serve({ ...shown, maxVersion: 'TLSv1.2' });
    await assert.rejects(checkAnswer(bench, handshakes, older), /speaks TLSv1.2, not TLSv1.3/);
    const otherFolder = mkdtempSync(join(folder, 'other-'));
    const other = await serve(await loadShown(await writeCertificate(otherFolder)));
    await assert.rejects(checkAnswer(bench, handshakes, other), /unable to verify/);
  });

  it('counts connections, each with a full handshake and one request', async () => {
    let requests = 0;
    let handshakesMade = 0;
    const server = createHttpsServer(shown, (_, response) => {
      requests++;
      response.end(handshakes.responseBody);
    });
    server.on('secureConnection', (socket) => {
      assert.ok(!socket.isSessionReused());
      handshakesMade++;
    });
    closers.push(() => server.close().closeAllConnections());
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { answered, trouble } = await connectionsTool().run(
      bench,
      handshakes,
      (server.address() as AddressInfo).port,
      1,
    );
    assert.equal(trouble, '');
    assert.ok(
      answered > 0 && answered <= requests && requests <= handshakesMade,
      `${answered} ${requests} ${handshakesMade}`,
    );
    assert.ok(handshakesMade - answered <= handshakes.connections);
  });

  it('says when idle connections do not stay', async () => {
    const head = `HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n${'x'.repeat(64)}`;
    const server = createTlsServer(shown, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(head));
    });
    closers.push(() => server.close());
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    await assert.rejects(holdConnections(bench, scenarioNamed('tls-idle'), port), /closed connection/);
  });
});
