import type { Server } from 'node:net';
import type { Logger } from '../base/log.ts';

/**
 * Binds `address`:`port` (0: a free one) and says what was bound. Rejects with Node's error where it can't be; later
 * errors of the listening socket go to the log, under `name`.
 */
export function bindServer(
  server: Server,
  address: string,
  port: number,
  name: string,
  logger: Logger,
): Promise<{ address: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port }, () => {
      server.off('error', reject);
      server.on('error', (error) => logger.log('error', { err: error }, `${name} listener failed`));
      const bound = server.address();
      if (bound === null || typeof bound === 'string') return reject(new Error(`the ${name} port has no address`));
      resolve({ address: bound.address, port: bound.port });
    });
  });
}
