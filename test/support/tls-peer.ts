// Peers that speak TLS, over Node's own clients and servers, and the parts of a TLS configuration around certificates
// that a test has made.
import { request as requestHttps, type RequestOptions } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { parseAuthorities, parseCertificate } from '../../src/identity/certificate.ts';
import type {
  AuthoritiesMaterial,
  AuthoritiesSource,
  CertificateMaterial,
  CertificateSource,
  ListenerTlsSpec,
  SecretSpec,
  UpstreamTlsPolicy,
} from '../../src/model/tls.ts';
import type { TestAuthority, TestCertificate } from './certificates.ts';

/** The material of a certificate with its chain. */
export function certificateMaterial({ chain, keyPem }: TestCertificate): CertificateMaterial {
  const parsed = parseCertificate(chain, keyPem);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.material;
}

export function authoritiesMaterial(
  ...authorities: readonly { readonly certificatePem: string }[]
): AuthoritiesMaterial {
  const parsed = parseAuthorities(authorities.map(({ certificatePem }) => certificatePem).join('\n'));
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.material;
}

export function certificateSource(issued: TestCertificate): CertificateSource {
  return { kind: 'inline', owner: 'test', material: certificateMaterial(issued) };
}

export function authoritiesSource(...authorities: readonly { readonly certificatePem: string }[]): AuthoritiesSource {
  return { kind: 'inline', owner: 'test', material: authoritiesMaterial(...authorities) };
}

/** One Secret, as the store takes them. */
export function secrets(
  ...list: readonly {
    readonly name: string;
    readonly certificate?: TestCertificate;
    readonly authorities?: readonly TestAuthority[];
  }[]
): ReadonlyMap<string, SecretSpec> {
  return new Map(
    list.map(({ name, certificate, authorities }) => [
      name,
      {
        name,
        certificate: certificate && certificateMaterial(certificate),
        authorities: authorities && authoritiesMaterial(...authorities),
      },
    ]),
  );
}

/** TLS towards callers, which are asked for no certificate. */
export function listenerTls(
  certificates: readonly TestCertificate[],
  overrides: Partial<ListenerTlsSpec> = {},
): ListenerTlsSpec {
  return {
    certificates: certificates.map(certificateSource),
    clientCertificate: 'none',
    clientCa: undefined,
    clientNames: [],
    ...overrides,
  };
}

/** TLS towards endpoints that `authority` vouches for. */
export function upstreamTls(authority: TestAuthority, overrides: Partial<UpstreamTlsPolicy> = {}): UpstreamTlsPolicy {
  return {
    verify: true,
    ca: authoritiesSource(authority),
    clientCertificate: undefined,
    serverName: undefined,
    serverNames: [],
    ...overrides,
  };
}

export interface HttpsAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** `TLSv1.3`, say. */
  readonly version: string;
}

/** One HTTP/1.1 call over a TLS connection of its own. Rejects with the error of the connection. */
export function httpsCall(
  port: number,
  { body, ...options }: RequestOptions & { readonly body?: Buffer | string } = {},
): Promise<HttpsAnswer> {
  return new Promise((resolve, reject) => {
    const call = requestHttps(
      { host: '127.0.0.1', port, servername: 'localhost', agent: false, ...options },
      (answer) => {
        const chunks: Buffer[] = [];
        const version = (answer.socket as TLSSocket).getProtocol() ?? '';
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(chunks).toString(),
            version,
          }),
        );
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** What a connection that said one thing got back. */
export interface SpokenTo {
  readonly reused: boolean;
  readonly version: string;
  /** What ALPN chose; '' for nothing. */
  readonly alpn: string;
  /** All that came until the end. */
  readonly text: string;
  /** The last session offered; undefined where there was none. */
  readonly session: Buffer | undefined;
  /** How the connection failed, Node's code; '' for a clean end. */
  readonly error: string;
  /** Common name of the certificate that was shown. */
  readonly certificate: string;
}

const GET = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';

/** Opens a TLS connection, says `text` (an HTTP/1.1 GET) and listens until it ends. Never rejects. */
export function speakTls(
  port: number,
  options: ConnectionOptions = {},
  text: string | Buffer = GET,
): Promise<SpokenTo> {
  return new Promise((resolve) => {
    let error = '';
    let alpn = '';
    let version = '';
    let reused = false;
    let certificate = '';
    let session: Buffer | undefined;
    const chunks: Buffer[] = [];
    const socket = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...options }, () => {
      alpn = socket.alpnProtocol || '';
      version = socket.getProtocol() ?? '';
      reused = socket.isSessionReused();
      certificate = commonName(socket);
      socket.write(text);
    });
    socket.on('session', (offered: Buffer) => (session = offered));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code ?? cause.message));
    socket.on('close', () =>
      resolve({ reused, version, alpn, text: Buffer.concat(chunks).toString('latin1'), session, error, certificate }),
    );
  });
}

/** Common name of the peer's certificate; '' where it showed none. */
export function commonName(socket: TLSSocket): string {
  return /CN=([^\n]*)/.exec(socket.getPeerX509Certificate()?.subject ?? '')?.[1] ?? '';
}

/** Waits, a turn of the event loop at a time, until `done`; fails with `what` after ten seconds. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const start = performance.now();
  while (!done()) {
    if (performance.now() - start > 10_000) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Until those who use credentials have heard of what was changed just now: timers of one delay fire in order. */
export function told(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
