// nginx with one worker. Upstream connections are kept for as many requests as may be in flight: `grpc_pass` puts one
// call on a connection at a time. The limits of requests per connection are lifted on both sides.
import { join } from 'node:path';
import type { CertificateFiles } from '../certificate.ts';
import type { Scenario } from '../scenario.ts';
import { installedPeer } from './installed-peer.ts';

/** Directives that keep nginx inside a folder of its own, for a proxy as for a backend. */
export function nginxPreamble(folder: string, name: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(folder, `${name}-${kind}`)};`)
    .join('\n  ');
  // Else a worker started by root is nobody, who can't enter the folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  return `${user}daemon off;
worker_processes 1;
pid ${join(folder, `${name}.pid`)};
error_log stderr error;
events { worker_connections 16384; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  http2_max_concurrent_streams 1024;
  ${temporary}`;
}

/** nginx as a reverse proxy. */
export const nginxPeer = installedPeer({
  name: 'nginx',
  program: 'nginx',
  version: ['-v', /nginx\/([\d.]+)/],
  file: 'nginx-proxy.conf',
  args: (file, folder) => ['-e', 'stderr', '-p', folder, '-c', file],
  configuration: (bench, scenario, port, backendPort) =>
    proxyConfiguration(bench.folder, bench.certificate, scenario, port, backendPort),
});

function proxyConfiguration(
  folder: string,
  { certificate, key }: CertificateFiles,
  scenario: Scenario,
  port: number,
  backendPort: number,
): string {
  const ssl = scenario.tls ? ' ssl' : '';
  const secure = `ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.3;
    `;
  const inFlight = scenario.connections * scenario.streams;
  const server = scenario.isGrpc
    ? `listen 127.0.0.1:${port}${ssl} http2;
    location / { grpc_pass grpc://backend; grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }
    client_max_body_size 0;`
    : `listen 127.0.0.1:${port}${ssl};
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }`;
  return `${nginxPreamble(folder, 'nginx-proxy')}
  upstream backend {
    server 127.0.0.1:${backendPort};
    keepalive ${inFlight * 2};
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }
  server {
    ${scenario.tls ? secure : ''}${server}
  }
}
`;
}
