// What deploy/ and the Dockerfile promise: native sidecar, the ports and probes that the program has, no privileges, no
// floating versions, and examples that load without a warning.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { lint } from '../../../src/controlplane/lint.ts';

/** A member of parsed YAML by path; undefined where there is none. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[key] : undefined),
    value,
  );
}

function list(value: unknown): unknown[] {
  assert.ok(Array.isArray(value), 'a list is missing');
  return value;
}

function named(items: unknown, name: string): unknown {
  const found = list(items).find((item) => at(item, 'name') === name);
  assert.ok(found !== undefined, `${name} is missing`);
  return found;
}

/** The documents of a file, which must be free of errors and warnings. */
function documents(file: string): unknown[] {
  return parseAllDocuments(readFileSync(file, 'utf8'), { merge: true }).map((document) => {
    assert.deepEqual([...document.errors, ...document.warnings], [], file);
    return document.toJS() as unknown;
  });
}

function ofKind(items: readonly unknown[], kind: string): unknown {
  const found = items.find((item) => at(item, 'kind') === kind);
  assert.ok(found !== undefined, `${kind} is missing`);
  return found;
}

const yamlFiles = readdirSync('deploy', { recursive: true })
  .map((name) => join('deploy', String(name)))
  .filter((name) => name.endsWith('.yaml'));
const exampleFiles = yamlFiles.filter((file) => file.startsWith(join('deploy', 'examples')));

/** Every value of `key` in a tree. */
function* everywhere(value: unknown, key: string): Iterable<unknown> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name === key) yield inner;
    yield* everywhere(inner, key);
  }
}

/** What Pod Security `restricted` asks of a container. */
function assertRestricted(pod: unknown, container: unknown): void {
  const name = String(at(container, 'name'));
  const runAsNonRoot = at(container, 'securityContext', 'runAsNonRoot') ?? at(pod, 'securityContext', 'runAsNonRoot');
  const user = at(container, 'securityContext', 'runAsUser') ?? at(pod, 'securityContext', 'runAsUser');
  assert.equal(runAsNonRoot, true, name);
  assert.ok(typeof user === 'number' && user > 0, `${name} runs as ${String(user)}`);
  assert.equal(at(container, 'securityContext', 'allowPrivilegeEscalation'), false, name);
  assert.equal(at(container, 'securityContext', 'readOnlyRootFilesystem'), true, name);
  assert.deepEqual(at(container, 'securityContext', 'capabilities'), { drop: ['ALL'] }, name);
  assert.equal(at(pod, 'securityContext', 'seccompProfile', 'type'), 'RuntimeDefault', name);
  for (const kind of ['requests', 'limits']) {
    for (const what of ['cpu', 'memory']) assert.ok(at(container, 'resources', kind, what), `${name} ${kind} ${what}`);
  }
}

describe('every YAML file of deploy/', () => {
  it('parses', () => {
    assert.ok(yamlFiles.length >= 13, `${yamlFiles.length} files`);
    for (const file of yamlFiles) assert.ok(documents(file).length > 0, file);
  });

  it('names images by a version', () => {
    for (const file of yamlFiles) {
      for (const document of documents(file)) {
        for (const image of everywhere(document, 'image')) {
          assert.match(String(image), /:\d+\.\d+\.\d+(-[\w.-]+)?$/, `${file}: ${String(image)}`);
        }
      }
    }
  });
});

describe('deploy/kubernetes/sidecar-pod.yaml', () => {
  const pod = at(ofKind(documents('deploy/kubernetes/sidecar-pod.yaml'), 'Pod'), 'spec');
  const sidecar = named(at(pod, 'initContainers'), 'outrigger');

  it('is a native sidecar: an init container that keeps running', () => {
    assert.equal(at(sidecar, 'restartPolicy'), 'Always');
    assert.ok(!list(at(pod, 'containers')).some((container) => at(container, 'name') === 'outrigger'));
  });

  it('is probed where the program answers', () => {
    for (const [probe, path] of [
      ['startupProbe', '/ready'],
      ['readinessProbe', '/ready'],
      ['livenessProbe', '/live'],
    ] as const) {
      assert.equal(at(sidecar, probe, 'httpGet', 'path'), path);
      assert.equal(at(sidecar, probe, 'httpGet', 'port'), 15021);
    }
    assert.ok(list(at(sidecar, 'args')).includes('--health=0.0.0.0:15021'), 'the kubelet asks at the Pod address');
    assert.ok(!list(at(sidecar, 'args')).some((flag) => /^--(admin|bind)/.test(String(flag))), 'the rest is loopback');
  });

  it('knows its Pod', () => {
    const fields = { POD_IP: 'status.podIP', POD_NAME: 'metadata.name', POD_NAMESPACE: 'metadata.namespace' };
    for (const [name, path] of Object.entries(fields)) {
      assert.equal(at(named(at(sidecar, 'env'), name), 'valueFrom', 'fieldRef', 'fieldPath'), path);
    }
  });

  it('fits Pod Security restricted and writes only to its volume', () => {
    assertRestricted(pod, sidecar);
    for (const container of list(at(pod, 'containers'))) assertRestricted(pod, container);
    assert.equal(at(sidecar, 'securityContext', 'runAsUser'), 1337);
    const mount = named(at(sidecar, 'volumeMounts'), 'outrigger-state');
    assert.ok(list(at(sidecar, 'args')).includes(`--state-dir=${String(at(mount, 'mountPath'))}`));
    assert.deepEqual(at(named(at(pod, 'volumes'), 'outrigger-state'), 'emptyDir'), {});
  });

  it('leaves the drain its 30 s', () => {
    assert.ok(Number(at(pod, 'terminationGracePeriodSeconds')) > 30);
  });
});

describe('deploy/kubernetes/control-plane.yaml', () => {
  const all = documents('deploy/kubernetes/control-plane.yaml');
  const pod = at(ofKind(all, 'Deployment'), 'spec', 'template', 'spec');
  const control = named(at(pod, 'containers'), 'control');
  const configMap = ofKind(all, 'ConfigMap');

  it('serves ADS on 15010, where sidecars look for it', () => {
    assert.deepEqual(at(control, 'ports'), [{ name: 'grpc-ads', containerPort: 15010 }]);
    const service = ofKind(all, 'Service');
    assert.equal(at(service, 'spec', 'ports', 0, 'port'), 15010);
    assert.deepEqual(
      at(service, 'spec', 'selector'),
      at(ofKind(all, 'Deployment'), 'spec', 'template', 'metadata', 'labels'),
    );
    const address = `${String(at(service, 'metadata', 'name'))}.${String(at(service, 'metadata', 'namespace'))}.svc:15010`;
    const [sidecarPod] = documents('deploy/kubernetes/sidecar-pod.yaml');
    assert.ok(list(at(sidecarPod, 'spec', 'initContainers', 0, 'args')).includes(`--control=${address}`));
  });

  it('fits Pod Security restricted', () => {
    assertRestricted(pod, control);
    assert.equal(at(control, 'securityContext', 'runAsUser') ?? at(pod, 'securityContext', 'runAsUser'), 1337);
  });

  it('mounts the ConfigMap that it reads', () => {
    const folder = at(named(at(control, 'volumeMounts'), 'config'), 'mountPath');
    const args = list(at(control, 'args'));
    assert.equal(args[args.indexOf('--dir') + 1], folder);
    assert.equal(at(named(at(pod, 'volumes'), 'config'), 'configMap', 'name'), at(configMap, 'metadata', 'name'));
  });

  it('holds the policy of the example foo', () => {
    const data = at(configMap, 'data');
    const [upstream] = parseAllDocuments(String(at(data, 'apisix-upstream.yaml')));
    const [example] = documents('deploy/examples/foo/apisix-upstream.yaml');
    assert.deepEqual(upstream?.toJS(), example);
    for (const name of ['service.yaml', 'endpoint-slice.yaml']) {
      const [document] = parseAllDocuments(String(at(data, name)));
      assert.deepEqual(document?.errors, [], name);
    }
  });
});

describe('deploy/kubernetes/kustomization.yaml', () => {
  it('takes every manifest of the folder', () => {
    const [kustomization] = documents('deploy/kubernetes/kustomization.yaml');
    const manifests = readdirSync('deploy/kubernetes').filter((name) => name !== 'kustomization.yaml');
    assert.deepEqual(new Set(list(at(kustomization, 'resources'))), new Set(manifests));
  });
});

describe('deploy/compose.yaml', () => {
  it('runs without privileges and waits for the control plane', () => {
    const [compose] = documents('deploy/compose.yaml');
    for (const name of ['backends', 'control', 'sidecar']) {
      const service = at(compose, 'services', name);
      assert.match(String(at(service, 'user')), /^[1-9]\d*:[1-9]\d*$/, name);
      assert.equal(at(service, 'read_only'), true, name);
      assert.deepEqual(at(service, 'cap_drop'), ['ALL'], name);
    }
    assert.equal(at(compose, 'services', 'sidecar', 'depends_on', 'control', 'condition'), 'service_healthy');
    assert.match(JSON.stringify(at(compose, 'services', 'control', 'healthcheck')), /15010/);
  });
});

describe('deploy/examples', () => {
  const problems = (file: string): string[] => {
    const { findings } = lint(file);
    return findings.filter(({ severity }) => severity !== 'note').map(({ path, message }) => `${path}: ${message}`);
  };

  it('load without an error or a warning, each file by itself', () => {
    const alone = exampleFiles.filter((file) => !file.startsWith(join('deploy', 'examples', 'foo')));
    assert.equal(alone.length, 6);
    for (const file of [...alone, 'deploy/examples/foo']) assert.deepEqual(problems(file), [], file);
  });

  it('decorate a Service of their name', () => {
    for (const file of exampleFiles) {
      const upstream = documents(file).find((document) => at(document, 'kind') === 'ApisixUpstream');
      if (upstream === undefined) continue;
      assert.equal(at(upstream, 'apiVersion'), 'apisix.apache.org/v2', file);
      const services = file.includes(join('examples', 'foo'))
        ? documents('deploy/examples/foo/service.yaml')
        : documents(file);
      const service = ofKind(services, 'Service');
      assert.equal(at(service, 'metadata', 'name'), at(upstream, 'metadata', 'name'), file);
      const ports = list(at(service, 'spec', 'ports')).map((port) => at(port, 'port'));
      for (const settings of list(at(upstream, 'spec', 'portLevelSettings') ?? [])) {
        assert.ok(ports.includes(at(settings, 'port')), file);
      }
    }
  });

  it('foo: slices join the Service by port name, on loopback', () => {
    const [service] = documents('deploy/examples/foo/service.yaml');
    const portNames = list(at(service, 'spec', 'ports')).map((port) => at(port, 'name'));
    const backends = readFileSync('deploy/examples/foo-backends.mjs', 'utf8');
    const slices = documents('deploy/examples/foo/endpoint-slices.yaml');
    assert.equal(slices.length, 2);
    for (const slice of slices) {
      assert.equal(at(slice, 'metadata', 'labels', 'kubernetes.io/service-name'), 'foo');
      assert.deepEqual(
        list(at(slice, 'ports')).map((port) => at(port, 'name')),
        portNames,
      );
      assert.deepEqual(at(slice, 'endpoints', 0, 'addresses'), ['127.0.0.1']);
      for (const port of list(at(slice, 'ports'))) {
        assert.ok(backends.includes(String(at(port, 'port'))), `a backend listens on ${String(at(port, 'port'))}`);
      }
    }
  });
});

describe('Dockerfile', () => {
  const text = readFileSync('Dockerfile', 'utf8').replaceAll('\\\n', ' ');
  const instructions = text
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line))
    .map((line) => ({ word: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1).trim() }));
  const all = (word: string): string[] => instructions.filter((each) => each.word === word).map(({ rest }) => rest);
  const runStage = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'));
  const inRun = (word: string): string[] => runStage.filter((each) => each.word === word).map(({ rest }) => rest);

  it('has stages on a pinned Node, of the same version as the manifests', () => {
    const bases = all('FROM').map((rest) => /^node:(\d+\.\d+\.\d+-[a-z]+-slim) AS [a-z]+$/.exec(rest)?.[1]);
    assert.ok(bases.length >= 2, 'more than one stage');
    assert.equal(new Set(bases).size, 1);
    assert.match(String(bases[0]), /^24\./);
    for (const file of ['deploy/compose.yaml', 'deploy/kubernetes/sidecar-pod.yaml']) {
      assert.ok(readFileSync(file, 'utf8').includes(`node:${bases[0]}`), file);
    }
  });

  it('carries the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    assert.ok(all('ARG').includes(`VERSION=${version}`));
    for (const file of [
      'deploy/compose.yaml',
      'deploy/kubernetes/sidecar-pod.yaml',
      'deploy/kubernetes/control-plane.yaml',
    ]) {
      assert.ok(readFileSync(file, 'utf8').includes(`image: outrigger:${version}`), file);
    }
  });

  it('ships no build tools and runs as 1337', () => {
    assert.ok(all('RUN').includes('npm ci --omit=dev'));
    // Only the compile cache is made there.
    assert.ok(
      inRun('RUN').every((rest) => rest.includes('$NODE_COMPILE_CACHE') && !/\b(npm|npx|apt|tsc)\b/.test(rest)),
    );
    assert.deepEqual(inRun('USER'), ['1337:1337']);
    assert.ok(inRun('COPY').every((rest) => !/\b(test|src) \.\/(test|src)$/.test(rest)));
  });

  it('starts the program', () => {
    assert.deepEqual(JSON.parse(inRun('ENTRYPOINT')[0] ?? ''), [
      'node',
      '--max-semi-space-size=16',
      '/app/dist/src/main.js',
    ]);
  });

  it('has a health check that follows /ready', async () => {
    const check = inRun('HEALTHCHECK')[0] ?? '';
    const [program, flag, script = ''] = JSON.parse(check.slice(check.indexOf('['))) as string[];
    assert.deepEqual([program, flag], ['node', '-e']);
    assert.ok(script.includes('http://127.0.0.1:15021/ready'));
    let ready = true;
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/ready' && ready ? 200 : 503).end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    const exitCode = async (): Promise<unknown> => {
      const child = spawn(process.execPath, ['-e', script.replace('15021', String(port))], { stdio: 'ignore' });
      const [code] = (await once(child, 'exit')) as unknown[];
      return code;
    };
    assert.equal(await exitCode(), 0);
    ready = false;
    assert.equal(await exitCode(), 1);
    server.close();
    await once(server, 'close');
    assert.equal(await exitCode(), 1, 'nobody listens');
  });

  it('has OCI labels', () => {
    for (const label of ['title', 'description', 'licenses', 'version', 'revision']) {
      assert.match(all('LABEL').join(' '), new RegExp(`org\\.opencontainers\\.image\\.${label}="[^"]+"`));
    }
  });

  it('is given only what it copies', () => {
    const ignore = readFileSync('.dockerignore', 'utf8').split('\n');
    assert.ok(ignore.includes('*'), 'everything is left out first');
    const sources = all('COPY')
      .filter((rest) => !rest.startsWith('--from='))
      .flatMap((rest) => rest.split(/\s+/).slice(0, -1));
    for (const source of sources) assert.ok(ignore.includes(`!${source}`), source);
  });
});
