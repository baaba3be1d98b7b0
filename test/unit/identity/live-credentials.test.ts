import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Logger } from '../../../src/base/log.ts';
import { parseAuthorities, parseCertificate } from '../../../src/identity/certificate.ts';
import type { CredentialUse } from '../../../src/identity/credentials.ts';
import { createCredentials, type LiveCredentials } from '../../../src/identity/live-credentials.ts';
import type {
  AuthoritiesMaterial,
  CertificateMaterial,
  CertificateSource,
  SecretSpec,
} from '../../../src/model/tls.ts';
import { selfSigned, type TestCertificate } from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const first = await selfSigned({ commonName: 'first' });
const second = await selfSigned({ commonName: 'second' });
const third = await selfSigned({ commonName: 'third' });

const root = mkdtempSync(join(tmpdir(), 'credentials-'));
after(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;

interface Line {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

/** A store with a directory of its own, and what it logged. */
function setUp() {
  const clock = new FakeClock();
  const lines: Line[] = [];
  const logger: Logger = {
    level: 'trace',
    isOn: () => true,
    log: (level, fields, message) => lines.push({ level, fields, message }),
  };
  const credentials = createCredentials({ clock, logger });
  const directory = join(root, String(directories++));
  mkdirSync(directory);
  const path = (name: string): string => join(directory, name);
  const put = (pair: TestCertificate): void => {
    writeFileSync(path('cert.pem'), pair.certificatePem);
    writeFileSync(path('key.pem'), pair.keyPem);
  };
  const files: CertificateSource = { kind: 'files', certificateFile: path('cert.pem'), keyFile: path('key.pem') };
  return { clock, lines, credentials, directory, path, put, files };
}

/** Uses sources, and counts the calls of `onChange`. */
function follow(credentials: LiveCredentials, use: Partial<CredentialUse>) {
  const seen = { calls: 0, cancel: () => {} };
  seen.cancel = credentials.use({
    certificates: [],
    authorities: [],
    usedBy: 'Listener outbound/7000',
    onChange: () => void seen.calls++,
    ...use,
  });
  return seen;
}

function certificateOf({ certificatePem, keyPem }: TestCertificate): CertificateMaterial {
  const parsed = parseCertificate(certificatePem, keyPem);
  assert.ok(parsed.ok);
  return parsed.material;
}

function authoritiesOf({ certificatePem }: TestCertificate): AuthoritiesMaterial {
  const parsed = parseAuthorities(certificatePem);
  assert.ok(parsed.ok);
  return parsed.material;
}

function secret(name: string, certificate?: TestCertificate, authorities?: TestCertificate): SecretSpec {
  return {
    name,
    certificate: certificate && certificateOf(certificate),
    authorities: authorities && authoritiesOf(authorities),
  };
}

const secrets = (...list: SecretSpec[]): Map<string, SecretSpec> => new Map(list.map((spec) => [spec.name, spec]));

test('files are read when they come into use', () => {
  const { clock, credentials, files, put, path } = setUp();
  put(first);
  writeFileSync(path('ca.pem'), second.certificatePem);
  const ca = { kind: 'file', file: path('ca.pem') } as const;
  assert.match(credentials.certificate(files).error, /not in use/);
  follow(credentials, { certificates: [files], authorities: [ca, { kind: 'system' }] });
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=first');
  assert.equal(credentials.certificate(files).error, '');
  assert.equal(credentials.authorities(ca).material?.info.subject, 'CN=second');
  assert.deepEqual(
    credentials.list().map(({ name, kind, usedBy, error }) => ({ name, kind, usedBy, error })),
    [
      { name: path('ca.pem'), kind: 'authorities', usedBy: ['Listener outbound/7000'], error: '' },
      { name: path('cert.pem'), kind: 'certificate', usedBy: ['Listener outbound/7000'], error: '' },
    ],
  );
  assert.equal(clock.waiting, 1);
});

test('a new pair is taken at the next poll, and the users hear of it once, in a turn of its own', async () => {
  const { clock, lines, credentials, files, put } = setUp();
  put(first);
  const one = follow(credentials, { certificates: [files] });
  const two = follow(credentials, { certificates: [files], usedBy: 'Upstream default/web' });
  const was = credentials.certificate(files);
  await credentials.poll();
  assert.equal(credentials.certificate(files), was);
  put(second);
  await credentials.poll();
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=second');
  assert.deepEqual([one.calls, two.calls], [0, 0]);
  clock.advance(0);
  assert.deepEqual([one.calls, two.calls], [1, 1]);
  await credentials.poll();
  clock.advance(0);
  assert.deepEqual([one.calls, two.calls], [1, 1]);
  const { fingerprint, notAfterMs } = certificateOf(second).info;
  assert.deepEqual(lines, [
    {
      level: 'info',
      fields: {
        name: credentials.list()[0]?.name,
        kind: 'certificate',
        notAfter: new Date(notAfterMs).toISOString(),
        fingerprint,
      },
      message: 'certificate replaced',
    },
  ]);
});

test('the clock polls every 500 ms', async () => {
  const { clock, credentials, files, put } = setUp();
  put(first);
  follow(credentials, { certificates: [files] });
  for (const [pair, subject] of [
    [second, 'CN=second'],
    [third, 'CN=third'],
  ] as const) {
    put(pair);
    clock.advance(499);
    assert.equal(clock.waiting, 1);
    clock.advance(1);
    assert.equal(clock.waiting, 0);
    // Joins the poll that the clock began.
    await credentials.poll();
    assert.equal(credentials.certificate(files).material?.info.subject, subject);
    clock.advance(0);
  }
});

test('a rotation in two steps is never noticed halfway', async () => {
  const { clock, lines, credentials, files, path, put } = setUp();
  put(first);
  const user = follow(credentials, { certificates: [files] });
  await credentials.poll();
  writeFileSync(path('cert.pem'), second.certificatePem.slice(0, 300));
  await credentials.poll();
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=first');
  assert.equal(credentials.certificate(files).error, '');
  put(second);
  await credentials.poll();
  clock.advance(0);
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=second');
  assert.equal(user.calls, 1);
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['certificate replaced'],
  );
});

test('a pair that stays bad keeps the last good one, is told at the second poll and logged once', async () => {
  const { clock, lines, credentials, files, path, put } = setUp();
  put(first);
  const user = follow(credentials, { certificates: [files] });
  writeFileSync(path('key.pem'), second.keyPem);
  const seen: [string, number, number][] = [];
  for (let i = 0; i < 4; i++) {
    await credentials.poll();
    clock.advance(0);
    seen.push([credentials.certificate(files).error === '' ? 'fine' : 'told', user.calls, lines.length]);
  }
  assert.deepEqual(seen, [
    ['fine', 0, 0],
    ['told', 1, 1],
    ['told', 1, 1],
    ['told', 1, 1],
  ]);
  const { material, error } = credentials.certificate(files);
  assert.equal(material?.info.subject, 'CN=first');
  assert.equal(
    error,
    `${path('cert.pem')}, ${path('key.pem')}: the private key does not fit the certificate; give the key that the certificate was issued for`,
  );
  assert.deepEqual(lines[0], {
    level: 'warn',
    fields: { name: path('cert.pem'), kind: 'certificate', error },
    message: "certificate can't be used; the last good stays in use",
  });
  // Another problem is another line; the old one again is none.
  rmSync(path('key.pem'));
  await credentials.poll();
  assert.match(credentials.certificate(files).error, /key\.pem does not exist; create it or correct the path$/);
  writeFileSync(path('key.pem'), second.keyPem);
  await credentials.poll();
  assert.equal(lines.length, 2);
  // The key that fits comes back.
  writeFileSync(path('key.pem'), first.keyPem);
  await credentials.poll();
  clock.advance(0);
  assert.deepEqual(credentials.certificate(files), { material, error: '' });
  assert.equal(lines.at(-1)?.message, 'certificate usable now');
  assert.ok(!JSON.stringify(lines).includes(first.keyPem.split('\n')[1] ?? '-'));
});

test('deleted files keep the last good, and files that come later are taken', async () => {
  const { clock, lines, credentials, files, path, put } = setUp();
  const user = follow(credentials, { certificates: [files] });
  const { material, error } = credentials.certificate(files);
  assert.equal(material, undefined);
  assert.equal(
    error,
    `${path('cert.pem')} does not exist; create it or correct the path; ${path('key.pem')} does not exist; create it or correct the path`,
  );
  await credentials.poll();
  put(first);
  await credentials.poll();
  clock.advance(0);
  assert.equal(user.calls, 1);
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=first');
  rmSync(path('cert.pem'));
  rmSync(path('key.pem'));
  for (let i = 0; i < 3; i++) await credentials.poll();
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=first');
  assert.match(credentials.certificate(files).error, /does not exist/);
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['info', 'warn'],
  );
});

test('atomic renames and swapped links are seen', async () => {
  const { credentials, directory, path, put, files } = setUp();
  // As the kubelet does it: cert.pem → ..data/cert.pem, ..data → a directory for each version.
  for (const [version, pair] of [
    ['v1', first],
    ['v2', second],
  ] as const) {
    mkdirSync(path(version));
    writeFileSync(join(directory, version, 'cert.pem'), pair.certificatePem);
    writeFileSync(join(directory, version, 'key.pem'), pair.keyPem);
    for (const name of ['cert.pem', 'key.pem']) utimesSync(join(directory, version, name), 1_000, 1_000);
  }
  symlinkSync('v1', path('..data'));
  symlinkSync('..data/cert.pem', path('cert.pem'));
  symlinkSync('..data/key.pem', path('key.pem'));
  follow(credentials, { certificates: [files] });
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=first');
  await credentials.poll();
  symlinkSync('v2', path('..data_tmp'));
  renameSync(path('..data_tmp'), path('..data'));
  await credentials.poll();
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=second');
  rmSync(path('cert.pem'));
  rmSync(path('key.pem'));
  put(third);
  await credentials.poll();
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=third');
});

test('only regular files of a sane size are read, and nothing waits for a pipe', async (context) => {
  const { credentials, path } = setUp();
  execFileSync('mkfifo', [path('pipe')]);
  const server = createServer().listen(path('socket'));
  context.after(() => void server.close());
  await once(server, 'listening');
  mkdirSync(path('directory'));
  writeFileSync(path('long'), '');
  truncateSync(path('long'), 2 ** 20 + 1);
  writeFileSync(path('empty'), '');
  symlinkSync('loop', path('loop'));
  const table: [string, RegExp][] = [
    [path('pipe'), /pipe is a named pipe; name a regular file$/],
    [path('socket'), /socket is a socket; name a regular file$/],
    [path('directory'), /directory is a directory; name a regular file$/],
    ['/dev/zero', /^\/dev\/zero is a device; name a regular file$/],
    [path('long'), /long is longer than 1024 KiB; name a PEM file$/],
    [path('empty'), /empty: the list of authorities is empty; give it in PEM$/],
    [path('loop'), /loop is a symbolic link that leads to itself; correct the link$/],
    [path('none/none'), /none does not exist; create it or correct the path$/],
    ['nul\0', /holds a NUL in its path; correct the path$/],
    ['/proc/self/mem', /^\/proc\/self\/mem (can't be read|may not be read)/],
    ['/proc/self/status', /not PEM/],
  ];
  const sources = table.map(([file]) => ({ kind: 'file', file }) as const);
  follow(credentials, { authorities: sources });
  for (let poll = 0; poll < 2; poll++) {
    for (const [i, source] of sources.entries()) {
      const { material, error } = credentials.authorities(source);
      assert.equal(material, undefined);
      assert.match(error, table[i]?.[1] ?? /none/);
    }
    await credentials.poll();
  }
  if (process.getuid?.() === 0) return;
  writeFileSync(path('secret'), first.certificatePem);
  chmodSync(path('secret'), 0);
  const source = { kind: 'file', file: path('secret') } as const;
  follow(credentials, { authorities: [source] });
  assert.match(credentials.authorities(source).error, /secret may not be read; give the user/);
});

test('touching a file, or writing the same again, changes nothing', async () => {
  const { clock, lines, credentials, files, path, put } = setUp();
  put(first);
  const user = follow(credentials, { certificates: [files] });
  const before = credentials.certificate(files);
  utimesSync(path('cert.pem'), 1_000, 1_000);
  await credentials.poll();
  writeFileSync(path('cert.pem'), `# renewed\n${first.certificatePem}`);
  await credentials.poll();
  clock.advance(0);
  assert.equal(credentials.certificate(files), before);
  assert.equal(user.calls, 0);
  assert.deepEqual(lines, []);
});

test('what nobody uses is forgotten; a use replaced in one turn keeps what was good', async () => {
  const { clock, credentials, files, path, put } = setUp();
  put(first);
  const one = follow(credentials, { certificates: [files] });
  writeFileSync(path('cert.pem'), 'half');
  await credentials.poll();
  one.cancel();
  assert.deepEqual(credentials.list(), []);
  const two = follow(credentials, { certificates: [files] });
  clock.advance(0);
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=first');
  two.cancel();
  two.cancel();
  clock.advance(0);
  assert.match(credentials.certificate(files).error, /not in use/);
  assert.equal(clock.waiting, 0);
  follow(credentials, { certificates: [files] });
  assert.equal(credentials.certificate(files).material, undefined);
  assert.match(credentials.certificate(files).error, /not PEM/);
});

test('a user that ends, also by the call for another, hears nothing more', async () => {
  const { clock, credentials, files, put } = setUp();
  put(first);
  let calls = 0;
  const users: { cancel: () => void }[] = [];
  const end = (): void => {
    calls++;
    for (const user of users) user.cancel();
  };
  users.push(follow(credentials, { certificates: [files], onChange: end }));
  users.push(follow(credentials, { certificates: [files], onChange: end }));
  put(second);
  await credentials.poll();
  clock.advance(0);
  assert.equal(calls, 1);
});

test('after stop nothing runs, also when a poll was under way', async () => {
  const { clock, credentials, files, put } = setUp();
  put(first);
  const user = follow(credentials, { certificates: [files] });
  put(second);
  const poll = credentials.poll();
  credentials.stop();
  await poll;
  clock.advance(10_000);
  assert.equal(clock.waiting, 0);
  assert.equal(user.calls, 0);
  assert.equal(credentials.certificate(files).material?.info.subject, 'CN=first');
});

test('Secrets: missing, sent, replaced, without the part, removed', () => {
  const { clock, lines, credentials } = setUp();
  const source = { kind: 'secret', name: 'default/web' } as const;
  const user = follow(credentials, { certificates: [source], authorities: [source] });
  const told = (): number => {
    clock.advance(0);
    return user.calls;
  };
  const missing =
    'Secret default/web is not here: the control plane has sent none that can be used; GetSnapshot shows what came';
  assert.deepEqual(credentials.certificate(source), { material: undefined, error: missing });
  assert.deepEqual(credentials.authorities(source), { material: undefined, error: missing });

  const both = secret('default/web', first, second);
  credentials.setSecrets(secrets(both, secret('default/other', third)));
  assert.equal(user.calls, 0);
  assert.equal(told(), 1);
  assert.deepEqual(credentials.certificate(source), { material: both.certificate, error: '' });
  assert.deepEqual(credentials.authorities(source), { material: both.authorities, error: '' });

  // Parsed anew from the same bytes.
  credentials.setSecrets(secrets(secret('default/web', first, second)));
  assert.equal(told(), 1);
  assert.equal(credentials.certificate(source).material, both.certificate);
  assert.equal(lines.length, 0);

  credentials.setSecrets(secrets(secret('default/web', third, second)));
  assert.equal(told(), 2);
  assert.equal(credentials.certificate(source).material?.info.subject, 'CN=third');
  assert.deepEqual(
    lines.map(({ level, fields, message }) => [level, fields['name'], fields['fingerprint'], message]),
    [['info', 'Secret default/web', certificateOf(third).info.fingerprint, 'certificate replaced']],
  );

  credentials.setSecrets(secrets(secret('default/web', undefined, second)));
  assert.equal(told(), 3);
  assert.equal(credentials.certificate(source).material?.info.subject, 'CN=third');
  assert.match(credentials.certificate(source).error, /^Secret default\/web holds no certificate; add .*stays in use$/);
  assert.equal(credentials.authorities(source).error, '');

  credentials.setSecrets(new Map());
  assert.equal(told(), 4);
  assert.equal(credentials.certificate(source).material?.info.subject, 'CN=third');
  assert.match(credentials.certificate(source).error, /^Secret default\/web was removed: what it held stays in use; /);

  credentials.setSecrets(secrets(secret('default/web', third, second)));
  assert.equal(told(), 5);
  assert.equal(credentials.certificate(source).error, '');

  // Nobody remembers it once nobody uses it.
  user.cancel();
  credentials.setSecrets(new Map());
  clock.advance(0);
  follow(credentials, { certificates: [source] });
  assert.deepEqual(credentials.certificate(source), { material: undefined, error: missing });
});

test('a Secret without the part that is asked for', () => {
  const { credentials } = setUp();
  credentials.setSecrets(secrets(secret('a/cert', first), secret('a/ca', undefined, second)));
  const [cert, ca] = [{ kind: 'secret', name: 'a/cert' } as const, { kind: 'secret', name: 'a/ca' } as const];
  follow(credentials, { certificates: [cert, ca], authorities: [cert, ca] });
  assert.equal(credentials.certificate(cert).error, '');
  assert.equal(credentials.authorities(ca).error, '');
  assert.deepEqual(credentials.certificate(ca), {
    material: undefined,
    error: 'Secret a/ca holds no certificate; add `certificate` and `private_key`',
  });
  assert.deepEqual(credentials.authorities(cert), {
    material: undefined,
    error: 'Secret a/cert holds no authorities; add `ca`',
  });
});

test('a chain or a key that is another one is a change, with the same leaf too', () => {
  const { clock, credentials } = setUp();
  const source = { kind: 'secret', name: 'a/b' } as const;
  const material = certificateOf(first);
  const longer = certificateOf({ ...first, certificatePem: first.certificatePem + second.certificatePem });
  credentials.setSecrets(secrets({ name: 'a/b', certificate: material, authorities: undefined }));
  const user = follow(credentials, { certificates: [source] });
  credentials.setSecrets(secrets({ name: 'a/b', certificate: longer, authorities: undefined }));
  clock.advance(0);
  assert.equal(user.calls, 1);
  assert.equal(credentials.certificate(source).material, longer);
});

test('inline material, and the list of all', () => {
  const { credentials, files, put, path } = setUp();
  put(first);
  const inline = { kind: 'inline', owner: 'Upstream default/web', material: certificateOf(second) } as const;
  const inlineCa = { kind: 'inline', owner: 'Upstream default/web', material: authoritiesOf(third) } as const;
  const missing = { kind: 'secret', name: 'default/x' } as const;
  const certificates = [inline, inline, files, missing];
  follow(credentials, { certificates, authorities: [inlineCa], usedBy: 'Upstream default/web' });
  follow(credentials, { certificates: [files], usedBy: 'Listener outbound/1' });
  follow(credentials, { certificates: [files], usedBy: 'Listener outbound/1' });
  assert.deepEqual(credentials.certificate(inline), { material: inline.material, error: '' });
  assert.deepEqual(credentials.authorities(inlineCa), { material: inlineCa.material, error: '' });
  assert.deepEqual(
    credentials
      .list()
      .map(({ name, kind, usedBy, info, error }) => [name, kind, usedBy.join(), info?.subject, error !== '']),
    [
      [path('cert.pem'), 'certificate', 'Listener outbound/1,Upstream default/web', 'CN=first', false],
      ['Secret default/x', 'certificate', 'Upstream default/web', undefined, true],
      ['Upstream default/web', 'certificate', 'Upstream default/web', 'CN=second', false],
      ['Upstream default/web', 'authorities', 'Upstream default/web', 'CN=third', false],
    ],
  );
});
