// The names of a certificate, read from DER. An input is a certificate, or what is left of one.
import { X509Certificate } from 'node:crypto';
import type { Rng } from '../../../src/base/rng.ts';
import { readSubjectAltNames } from '../../../src/identity/names.ts';
import { ByteMutator } from '../../support/fuzz-mutator.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import { latin1 } from './h1-words.ts';

/** One DER element. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...items: readonly Uint8Array[]): Buffer => der(0x30, ...items);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const SAN = oid('551d11');
const KEY_USAGE = sequence(oid('551d0f'), der(0x01, Buffer.from([0xff])), der(0x04, Buffer.from('03020780', 'hex')));
const ALGORITHM = sequence(oid('2a8648ce3d040302'));
const NAME = sequence(der(0x31, sequence(oid('550403'), der(0x0c, latin1('a')))));
const TIME = der(0x17, latin1('250101000000Z'));
/** A point of P-256: OpenSSL reads a certificate only with a key in it. */
const KEY = sequence(
  sequence(oid('2a8648ce3d0201'), oid('2a8648ce3d030107')),
  der(0x03, Buffer.from('00046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5', 'hex')),
); // prettier-ignore

/** A certificate with these extensions; its signature is none. */
function certificate(...extensions: readonly Uint8Array[]): Buffer {
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ALGORITHM,
    NAME,
    sequence(TIME, TIME),
    NAME,
    KEY,
    der(0xa3, sequence(...extensions)),
  );
  return sequence(tbs, ALGORITHM, der(0x03, Buffer.from('00300602010102010'.padEnd(18, '1'), 'hex')));
}

function san(...names: readonly Uint8Array[]): Buffer {
  return sequence(SAN, der(0x04, sequence(...names)));
}

const dns = (text: string): Buffer => der(0x82, latin1(text));
const uri = (text: string): Buffer => der(0x86, latin1(text));
const ip = (...bytes: readonly number[]): Buffer => der(0x87, Buffer.from(bytes));
const NAMES = [
  dns('a.example'), dns('*.b.example'), dns('x\0.example'), dns('a, DNS:b'), dns(''), dns('é'.repeat(3)), uri('spiffe://example.org/ns/a/sa/b'), uri('https://a/, DNS:good.example'), ip(127, 0, 0, 1),
  ip(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1), ip(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1), ip(1, 2, 3), der(0x81, latin1('a@b')), der(0x88, Buffer.from([0x2a, 3])),
  der(0xa4, NAME), der(0xa0, oid('2a03'), der(0xa0, der(0x0c, latin1('o')))), dns('l'.repeat(300)),
]; // prettier-ignore

const SEEDS = [
  certificate(san(...NAMES)), certificate(KEY_USAGE, san(dns('a.example'), uri('spiffe://a/b'), ip(10, 0, 0, 1))), certificate(san(...NAMES.slice(0, 2)), san(...NAMES.slice(0, 1))),
  certificate(KEY_USAGE), certificate(sequence(SAN, der(0x01, Buffer.from([0xff])), der(0x04, sequence(dns('critical'))))), certificate(), ...NAMES.map((name) => certificate(san(name))),
  certificate(san(...Array.from({ length: 300 }, (_, i) => dns(`n${i}`)))),
]; // prettier-ignore

/** Out of so many inputs one is shown to OpenSSL too, which costs fifty times as much. */
const SHOWN_TO_OPENSSL = 20;

function check(input: Buffer, rng: Rng): void {
  const names = readSubjectAltNames(input);
  const count = names.dns.length + names.uris.length + names.ips.length;
  if (count > 1000 || count > input.length / 2) broken('there are no more names than bytes for them', String(count));
  for (const text of [...names.dns, ...names.uris]) {
    if (!input.includes(text, 0, 'latin1')) broken('each name stands in the certificate', JSON.stringify(text));
  }
  // The same bytes, elsewhere in a larger buffer.
  const larger = Buffer.concat([Buffer.from([0x30, 0x82]), input, Buffer.from([0x82, 1])]);
  const again = readSubjectAltNames(larger.subarray(2, 2 + input.length));
  if (JSON.stringify(again) !== JSON.stringify(names)) broken('it depends on the bytes only');
  if (rng.below(SHOWN_TO_OPENSSL) === 0) compareWithOpenssl(input, count, names);
}

/** Names that we read are names that OpenSSL reads, and the other way round where it has no need to quote them. */
function compareWithOpenssl(input: Buffer, count: number, names: ReturnType<typeof readSubjectAltNames>): void {
  let text: string;
  try {
    text = new X509Certificate(input).subjectAltName ?? '';
  } catch {
    return; // it looks at far more of a certificate than its names
  }
  // It quotes what could be mistaken. And it gives up a whole extension over the inside of a name that we pass over, an
  // X.400 address for example; a chain with such a certificate doesn't verify.
  if (/["\\%]/.test(text) || text === '') return;
  const theirs = text.split(', ');
  const ours = [...names.dns.map((name) => `DNS:${name}`), ...names.uris.map((name) => `URI:${name}`)];
  for (const name of ours)
    if (!theirs.includes(name)) broken('OpenSSL reads the names that we read', `${name}\n${text}`);
  if (count === 0) return; // refused whole: two extensions, a type of name that there isn't, bytes behind the end
  for (const name of theirs) {
    if (/^(?:DNS|URI):/.test(name) && !ours.includes(name))
      broken('we read the names that OpenSSL reads', `${name}\n${ours.join()}`);
  }
}

export const NAMES_TARGET: FuzzTarget = {
  name: 'certificate-names',
  seeds: SEEDS,
  mutate: new ByteMutator([...NAMES, ...NAMES.map((name) => san(name)), KEY_USAGE, Buffer.from([0x30, 0x80]), Buffer.from([0x82, 0xff, 0xff]), Buffer.from([0x84, 0, 0, 0, 1]), Buffer.from([0x30, 0x82, 0, 1])], 3000).mutate,
  check,
}; // prettier-ignore

/** For the test that the seeds are what they are meant to be. */
export const FIRST_CERTIFICATE: Buffer = certificate(san(dns('a.example'), uri('spiffe://a/b'), ip(10, 0, 0, 1)));
