import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { after, describe, it } from 'node:test';
import { certs } from '../../../src/cli/certs.ts';
import { COMMANDS, flagOptions, UsageError } from '../../../src/cli/usage.ts';
import { issueAuthority } from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { runProgram } from '../../support/program.ts';

const DAY_MS = 86_400_000;
const FILES = [
  'ca.pem',
  'client-key.pem',
  'client.pem',
  'server-key.pem',
  'server.pem',
  'spiffe-key.pem',
  'spiffe.pem',
];
const LEAVES = ['server', 'client', 'spiffe'];
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

const root = mkdtempSync(join(tmpdir(), 'outrigger-certs-'));
after(() => rmSync(root, { recursive: true }));
let made = 0;

function freshPath(): string {
  return join(root, String(made++));
}

/** Runs the command; what it printed. */
async function run(...args: string[]): Promise<string> {
  const command = COMMANDS['certs'];
  assert.ok(command);
  const { values, positionals, tokens } = parseArgs({
    args,
    options: flagOptions(command),
    allowPositionals: true,
    tokens: true,
  });
  let out = '';
  const status = await certs(
    {
      flags: values,
      positionals,
      tokens,
      environment: {},
      out: (text) => (out += text),
      err: () => assert.fail('it wrote to stderr'),
      isTerminal: false,
      onSignal: () => undefined,
    },
    new FakeClock(),
  );
  assert.equal(status, 0);
  return out;
}

function read(dir: string, name: string): string {
  return readFileSync(join(dir, name), 'utf8');
}

function certificate(dir: string, name: string): X509Certificate {
  return new X509Certificate(read(dir, `${name}.pem`));
}

function modeOf(dir: string, name: string): number {
  return statSync(join(dir, name)).mode & 0o777;
}

function refused(pattern: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof UsageError, String(error));
    assert.match(error.message, pattern);
    return true;
  };
}

describe('outrigger certs', () => {
  it('makes an authority and three certificates whose keys fit', async () => {
    const dir = join(freshPath(), 'deeper', 'still');
    const out = await run(dir);
    assert.deepEqual(readdirSync(dir).sort(), FILES);
    const authority = certificate(dir, 'ca');
    assert.ok(authority.ca && authority.verify(authority.publicKey));
    for (const name of LEAVES) {
      const leaf = certificate(dir, name);
      assert.ok(!leaf.ca && leaf.verify(authority.publicKey) && leaf.checkIssued(authority), name);
      const key = read(dir, `${name}-key.pem`);
      assert.ok(key.startsWith('-----BEGIN PRIVATE KEY-----\n'));
      assert.ok(leaf.checkPrivateKey(createPrivateKey(key)), name);
      assert.ok(!out.includes(key.split('\n')[1] ?? ''));
      assert.match(leaf.serialNumber, /^01[0-9A-F]{32}$/);
    }
    const serials = new Set(['ca', ...LEAVES].map((name) => certificate(dir, name).serialNumber));
    assert.equal(serials.size, 4);
    const { written, notAfter, ...rest } = JSON.parse(out) as { dir: string; written: string[]; notAfter: string };
    assert.deepEqual(rest, { dir });
    assert.deepEqual(written.toSorted(), FILES);
    assert.equal(Date.parse(notAfter), new FakeClock().wallMs() + 90 * DAY_MS);
  });

  it('lets only the owner read a key', async () => {
    const dir = freshPath();
    await run(dir, '--keep-ca-key');
    await run(dir, '--keep-ca-key', '--force');
    for (const name of [...LEAVES, 'ca']) assert.equal(modeOf(dir, `${name}-key.pem`), 0o600, name);
    for (const name of [...LEAVES, 'ca']) assert.equal(modeOf(dir, `${name}.pem`) & 0o444, 0o444, name);
  });

  it('gives each certificate its names and uses', async () => {
    const dir = freshPath();
    await run(dir, '--dns', 'Web.example', '--dns', '*.mesh.test', '--dns', 'localhost', '--ip', 'FD00::5');
    const server = certificate(dir, 'server');
    for (const host of ['localhost', 'web.example', 'a.mesh.test']) assert.ok(server.checkHost(host), host);
    for (const ip of ['127.0.0.1', '::1', 'fd00::5']) assert.ok(server.checkIP(ip), ip);
    assert.equal(server.subjectAltName?.match(/localhost/g)?.length, 1);
    assert.deepEqual(server.keyUsage, [SERVER_AUTH, CLIENT_AUTH]);
    const client = certificate(dir, 'client');
    assert.deepEqual(client.keyUsage, [CLIENT_AUTH]);
    assert.equal(client.subject, 'CN=client');
    const spiffe = certificate(dir, 'spiffe');
    assert.equal(spiffe.subjectAltName, 'URI:spiffe://outrigger.test/ns/default/sa/default');
    assert.deepEqual(spiffe.keyUsage, [SERVER_AUTH, CLIENT_AUTH]);
    const other = freshPath();
    await run(other, '--spiffe-id', 'spiffe://example.org/ns/shop/sa/web');
    assert.equal(certificate(other, 'spiffe').subjectAltName, 'URI:spiffe://example.org/ns/shop/sa/web');
  });

  it('makes them valid from a little before now, for as long as asked', async () => {
    const dir = freshPath();
    await run(dir, '--days', '2');
    const nowMs = new FakeClock().wallMs();
    for (const name of ['ca', ...LEAVES]) {
      const { validFrom, validTo } = certificate(dir, name);
      assert.equal(Date.parse(validFrom), nowMs - 5 * 60_000);
      assert.equal(Date.parse(validTo), nowMs + 2 * DAY_MS);
    }
  });

  it('overwrites nothing that is there, and then writes nothing at all', async () => {
    const dir = freshPath();
    await run(dir);
    const before = FILES.map((name) => read(dir, name));
    await assert.rejects(run(dir), refused(/ca\.pem: is there already; give --force/));
    assert.deepEqual(
      FILES.map((name) => read(dir, name)),
      before,
    );
    for (const name of FILES.filter((file) => file !== 'spiffe-key.pem')) rmSync(join(dir, name));
    await assert.rejects(run(dir), refused(/spiffe-key\.pem: is there already/));
    assert.deepEqual(readdirSync(dir), ['spiffe-key.pem']);
  });

  it('--force replaces all, with a new authority', async () => {
    const dir = freshPath();
    await run(dir);
    const before = FILES.map((name) => read(dir, name));
    writeFileSync(join(dir, 'server-key.pem'), 'x', { mode: 0o666 });
    await run(dir, '--force');
    for (const [i, name] of FILES.entries()) assert.notEqual(read(dir, name), before[i], name);
    assert.ok(certificate(dir, 'server').verify(certificate(dir, 'ca').publicKey));
    assert.equal(modeOf(dir, 'server-key.pem'), 0o600);
    assert.deepEqual(readdirSync(dir).sort(), FILES);
  });

  it('never writes through a link', async () => {
    const dir = freshPath();
    await run(dir);
    const outside = freshPath();
    rmSync(join(dir, 'server-key.pem'));
    symlinkSync(outside, join(dir, 'server-key.pem'));
    for (const name of FILES) if (name !== 'server-key.pem') rmSync(join(dir, name));
    await assert.rejects(run(dir), refused(/server-key\.pem: is there already/));
    writeFileSync(outside, 'untouched');
    await run(dir, '--force');
    assert.equal(readFileSync(outside, 'utf8'), 'untouched');
    assert.ok(certificate(dir, 'server').checkPrivateKey(createPrivateKey(read(dir, 'server-key.pem'))));
  });

  it('replaces nothing where one of the files can not be', async () => {
    const dir = freshPath();
    mkdirSync(join(dir, 'spiffe-key.pem'), { recursive: true });
    await assert.rejects(run(dir, '--force'), refused(/spiffe-key\.pem: is a directory/));
    assert.deepEqual(readdirSync(dir), ['spiffe-key.pem']);
  });

  it('--keep-ca-key lets later runs issue from the same authority', async () => {
    const dir = freshPath();
    await run(dir, '--keep-ca-key');
    assert.deepEqual(readdirSync(dir).sort(), [...FILES, 'ca-key.pem'].sort());
    const authority = read(dir, 'ca.pem');
    const key = read(dir, 'ca-key.pem');
    const server = read(dir, 'server.pem');
    const { written } = JSON.parse(await run(dir, '--keep-ca-key', '--force')) as { written: string[] };
    assert.ok(!written.includes('ca.pem') && !written.includes('ca-key.pem'));
    assert.equal(read(dir, 'ca.pem'), authority);
    assert.equal(read(dir, 'ca-key.pem'), key);
    assert.notEqual(read(dir, 'server.pem'), server);
    for (const name of LEAVES) assert.ok(certificate(dir, name).verify(certificate(dir, 'ca').publicKey), name);
    await assert.rejects(run(dir, '--force'), refused(/ca-key\.pem: is there; give --keep-ca-key .* or delete it/));
    await assert.rejects(run(dir, '--keep-ca-key'), refused(/ca\.pem: is there already/));
  });

  it('says why a kept authority can not be used, without showing its key', async () => {
    const dir = freshPath();
    await run(dir, '--keep-ca-key');
    const key = read(dir, 'ca-key.pem');
    const again = (): Promise<string> => run(dir, '--keep-ca-key', '--force');
    writeFileSync(join(dir, 'ca-key.pem'), read(dir, 'server-key.pem'));
    await assert.rejects(again(), refused(/ca-key\.pem: the key does not fit the certificate; delete /));
    writeFileSync(join(dir, 'ca-key.pem'), 'SECRET');
    await assert.rejects(
      again(),
      (error: Error) => /not an unencrypted key/.test(error.message) && !/SECRET/.test(error.message),
    );
    writeFileSync(join(dir, 'ca-key.pem'), key);
    writeFileSync(join(dir, 'ca.pem'), read(dir, 'server.pem'));
    await assert.rejects(again(), refused(/not that of an authority/));
    writeFileSync(join(dir, 'ca.pem'), 'x');
    await assert.rejects(again(), refused(/the certificate is not PEM/));
    rmSync(join(dir, 'ca.pem'));
    await assert.rejects(again(), refused(/ca\.pem: ENOENT/));
  });

  it('refuses a kept authority that ends before its certificates would', async () => {
    const dir = freshPath();
    await run(dir, '--keep-ca-key');
    await run(dir, '--keep-ca-key', '--force', '--days', '3650');
    const { certificatePem, keyPem } = await issueAuthority({ notAfterMs: new FakeClock().wallMs() + DAY_MS });
    writeFileSync(join(dir, 'ca.pem'), certificatePem);
    writeFileSync(join(dir, 'ca-key.pem'), keyPem);
    await assert.rejects(run(dir, '--keep-ca-key', '--force', '--days', '2'), refused(/ends before its certificates/));
    await run(dir, '--keep-ca-key', '--force', '--days', '1');
  });

  it('refuses wrong arguments by name, and writes nothing', async () => {
    const dir = freshPath();
    const file = freshPath();
    writeFileSync(file, '');
    for (const [args, pattern] of [
      [[], /DIR/],
      [[''], /DIR/],
      [[dir, 'more'], /unexpected argument 'more'/],
      [[dir, '--days', '0'], /--days 0: give a whole number from 1 to 3650/],
      [[dir, '--days', '1.5'], /--days 1\.5/],
      [[dir, '--days', '3651'], /--days 3651/],
      [[dir, '--days', ''], /--days/],
      [[dir, '--dns', '10.0.0.1'], /give --ip 10\.0\.0\.1/],
      [[dir, '--dns', 'a..b'], /--dns a\.\.b/],
      [[dir, '--dns', '*'], /--dns \*/],
      [[dir, '--dns', 'a.*.b'], /--dns/],
      [[dir, '--dns', '1.2'], /--dns 1\.2/],
      [[dir, '--dns', `${'a'.repeat(64)}.b`], /--dns/],
      [[dir, '--ip', 'localhost'], /--ip localhost/],
      [[dir, '--ip', '[::1]'], /--ip/],
      [[dir, '--spiffe-id', 'https://a/b'], /--spiffe-id https:\/\/a\/b/],
      [[dir, '--spiffe-id', 'spiffe://a'], /--spiffe-id/],
      [[dir, '--spiffe-id', 'spiffe://a/b/../c'], /--spiffe-id/],
      [[file], /can't be made a directory/],
      [[join(file, 'below')], /can't be made a directory/],
    ] as const) {
      await assert.rejects(run(...args), refused(pattern), args.join(' '));
    }
    assert.throws(() => statSync(dir), /ENOENT/);
  });

  it('runs as a command', async () => {
    const dir = freshPath();
    const first = await runProgram(['certs', dir]);
    assert.equal(first.status, 0, first.log);
    assert.equal(first.log, '');
    assert.deepEqual(readdirSync(dir).sort(), FILES);
    const second = await runProgram(['certs', dir]);
    assert.equal(second.status, 2);
    assert.match(second.log, /^outrigger: .*ca\.pem: is there already; give --force/);
  });
});
