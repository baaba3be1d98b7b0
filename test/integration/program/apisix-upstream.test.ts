// External nodes and Services of type ExternalName as users write them: `control --dir`, `run --control`, and calls.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { httpCall } from '../../support/http-call.ts';
import { portOf, type Program, startProgram } from '../../support/program.ts';

let directory: string;
let controlPlane: Program | undefined;
let sidecar: Program | undefined;
let backendPort: number;
const server = createServer((request, response) => response.end(`host ${request.headers.host ?? ''}`));

/** Ports of the listeners; only their names matter, since each gets a free one. */
const PORTS = { nodes: 7001, external: 7002, service: 7003, clusterIp: 7004 } as const;

function configuration(): string {
  const node = (type: string, name: string) => `{type: ${type}, name: ${name}, port: ${backendPort}}`;
  const apisix = (name: string, spec: string) =>
    `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: ${name}}, spec: ${spec}}`;
  const service = (name: string, spec: string) =>
    `{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: ${spec}}`;
  const nodes = [node('Domain', 'localhost'), node('Domain', 'one.invalid'), node('Domain', 'two.invalid')];
  return [
    apisix(
      'nodes',
      `{retries: 1, externalNodes: [${nodes.join(', ')}], portLevelSettings: [{port: ${PORTS.nodes}}],
  healthCheck: {active: {type: tcp, healthy: {interval: 1s}, unhealthy: {interval: 1s}}, passive: {type: https, unhealthy: {httpCodes: [500]}}}}`,
    ),
    service('local', '{type: ExternalName, externalName: localhost}'),
    apisix(
      'external',
      `{externalNodes: [${node('Service', 'local')}], portLevelSettings: [{port: ${PORTS.external}, passHost: node}]}`,
    ),
    service('plain', `{ports: [{port: ${PORTS.service}}]}`),
    `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: plain-1, labels: {kubernetes.io/service-name: plain}}, ports: [{port: ${backendPort}}], endpoints: [{addresses: [127.0.0.1]}]}`,
    // With two ports each asks the registry of names.
    service(
      'two',
      `{type: ExternalName, externalName: localhost, ports: [{name: a, port: ${backendPort}}, {name: b, port: 1}]}`,
    ),
    apisix(
      'cluster-ip',
      `{externalNodes: [${node('Service', 'plain')}], portLevelSettings: [{port: ${PORTS.clusterIp}}]}`,
    ),
  ].join('\n---\n');
}

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  backendPort = (server.address() as AddressInfo).port;
  directory = await mkdtemp(join(tmpdir(), 'outrigger-apisix-upstream-'));
  await writeFile(join(directory, 'all.yaml'), configuration());
  controlPlane = await startProgram(['control', '--dir', directory, '--ads', '0']);
  sidecar = await startProgram([
    ...['run', '--control', controlPlane.ready.ads ?? '', '--admin', '0', '--health', '0'],
    ...['--listener-ports', 'ephemeral', '--node-id', 'test'],
  ]);
});

after(async () => {
  server.close();
  server.closeAllConnections();
  assert.equal(await sidecar?.stop(), 0);
  assert.equal(await controlPlane?.stop(), 0);
  await rm(directory, { recursive: true, force: true });
});

function portNamed(port: number): number {
  return portOf(sidecar?.ready.listeners?.find(({ name }) => name === `outbound/${port}`)?.address);
}

/** The first answer of a status; names are looked up in the background, so the first calls may come too early. */
async function answerOf(port: number, status: number): Promise<{ status: number; body: Buffer }> {
  for (let i = 0; i < 200; i++) {
    const answer = await httpCall(portNamed(port));
    if (answer.status === status) return answer;
    await delay(25);
  }
  return assert.fail(`never: ${status} on ${port}\n${sidecar?.log()}\n${controlPlane?.log()}`);
}

describe('ApisixUpstream with external nodes', () => {
  it('APISIX row 131: one live name beside two that do not exist: 100 calls, all 200', async () => {
    await answerOf(PORTS.nodes, 200);
    for (let i = 0; i < 100; i++) assert.equal((await httpCall(portNamed(PORTS.nodes))).status, 200);
  });

  it('APISIX row 134: a node of type Service, of type ExternalName: 200', async () => {
    const { body } = await answerOf(PORTS.external, 200);
    assert.equal(body.toString(), `host localhost:${backendPort}`);
  });

  it('a Service of type ExternalName is an upstream by itself: each port calls its own', async () => {
    await answerOf(backendPort, 200);
    await answerOf(1, 502);
  });

  it('APISIX row 134: a node of type Service with a ClusterIP: 503, and the control plane says why', async () => {
    await answerOf(PORTS.clusterIp, 503);
    assert.match(controlPlane?.log() ?? '', /the Service default\/plain is not of type ExternalName/);
  });

  it('APISIX row 135: an ApisixUpstream of the name of a Service changes the Host that it gets', async () => {
    const before = await answerOf(PORTS.service, 200);
    assert.doesNotMatch(before.body.toString(), /rewritten/);
    await writeFile(
      join(directory, 'plain.yaml'),
      '{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: plain}, spec: {passHost: rewrite, upstreamHost: rewritten.example}}',
    );
    for (let i = 0; ; i++) {
      const { status, body } = await httpCall(portNamed(PORTS.service));
      assert.equal(status, 200);
      if (body.toString() === 'host rewritten.example') break;
      assert.ok(i < 400, `still ${body.toString()}`);
      await delay(25);
    }
  });
});
