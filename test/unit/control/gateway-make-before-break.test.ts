// A property: whatever happens to Routes and to what they name, and in whatever order it arrives,
//
// * a Route that answers calls goes on doing so through every edit: its old version stays, with all it takes from others,
//   until what the new one names is here, is told absent, or has not come for 15 s. A refusal never ends that;
// * a Route whose Service is known is never answered as one whose Service isn't;
// * what was removed is out of force in the same turn, but for what such an old version takes from it;
// * in the end exactly what the server has is in force and asked for, but for what it never sent a good version of.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Resources } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import { ABSENCE_MS } from '../../../src/control/subscription.ts';
import type { FakeStream } from '../../support/fake-ads.ts';
import { delivered } from '../../support/fake-ads.ts';
import type { Harness } from './client-harness.ts';
import { start, TLS } from './client-harness.ts';

const UPSTREAMS = ['a', 'b', 'c', 'd'];
/** Of these the Endpoints come on their own. */
const WITH_PORT = new Set(['c', 'd']);
/** What nobody names any more is gone after it. */
const WAIT_MS = 2_500;

const NAMED_KINDS = ['Route', 'Service', 'PluginConfig'] as const;
type NamedKind = (typeof NAMED_KINDS)[number];
type Verdict = 'good' | 'refused' | 'absent';
type Target = string | undefined;
type Step =
  | {
      readonly kind: 'put';
      readonly of: NamedKind;
      readonly id: string;
      readonly upstream: Target;
      readonly service: Target;
      readonly pluginConfig: Target;
    }
  | { readonly kind: 'remove'; readonly of: NamedKind; readonly id: string }
  | { readonly kind: 'answer'; readonly pick: number; readonly verdict: Verdict }
  | { readonly kind: 'mend'; readonly pick: number }
  | { readonly kind: 'wait'; readonly ms: number };

const ids = fc.constantFrom('1', '2', '3');
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      of: fc.constantFrom('Route' as const, 'Route' as const, 'Service' as const, 'PluginConfig' as const),
      id: ids,
      upstream: fc.option(fc.constantFrom(...UPSTREAMS), { nil: undefined }),
      service: fc.option(ids, { nil: undefined, freq: 2 }),
      pluginConfig: fc.option(ids, { nil: undefined, freq: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('remove' as const), of: fc.constantFrom(...NAMED_KINDS), id: ids }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      pick: fc.nat(10),
      verdict: fc.constantFrom(
        'good' as const,
        'good' as const,
        'good' as const,
        'refused' as const,
        'absent' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mend' as const), pick: fc.nat(10) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 1, 1, 1, WAIT_MS, 16_000) }),
  },
);

/** What a Route, Service or PluginConfig names, and which version it is. */
interface Version {
  readonly desc: string;
  readonly upstreamId?: string;
  readonly servicePort?: number;
  readonly serviceId?: string;
  readonly pluginConfigId?: string;
}

interface Fault {
  readonly kind: 'Service' | 'PluginConfig' | 'Upstream' | 'Endpoints' | 'none';
  readonly name: string;
}

/** Why a Route in force can't be called, as config/gateway.ts finds it; undefined: it can be. */
function faultOf({ message }: { readonly message: Omit<Version, 'desc'> }, resources: Resources): Fault | undefined {
  const { pluginConfigId, serviceId } = message;
  if (pluginConfigId !== undefined && resources.get('PluginConfig', pluginConfigId) === undefined) {
    return { kind: 'PluginConfig', name: pluginConfigId };
  }
  const service = serviceId === undefined ? undefined : resources.get('Service', serviceId);
  if (serviceId !== undefined && service === undefined) return { kind: 'Service', name: serviceId };
  const { upstreamId, servicePort } = message.upstreamId === undefined ? (service?.message ?? {}) : message;
  if (upstreamId === undefined) return { kind: 'none', name: '' };
  if (resources.get('Upstream', upstreamId) === undefined) return { kind: 'Upstream', name: upstreamId };
  const key = `${upstreamId}/${servicePort}`;
  if (servicePort === undefined || resources.get('Endpoints', key) !== undefined) return undefined;
  return { kind: 'Endpoints', name: key };
}

/** Whether a Service is here with its Upstream, or names none. */
function serviceFault(
  { message }: { readonly message: Omit<Version, 'desc'> },
  resources: Resources,
): Fault | undefined {
  return message.upstreamId === undefined ? undefined : faultOf({ message }, resources);
}

interface Served {
  readonly version: Version;
  readonly fault: Fault | undefined;
}

/** The server, and what it makes of what it sees. */
class World {
  readonly has = new Map(NAMED_KINDS.map((kind) => [kind, new Map<string, Version>()]));
  readonly faults: string[] = [];
  /** Of what was in force last. */
  seen = new Map(NAMED_KINDS.map((kind) => [kind, new Map<string, Served>()]));
  namedUpstreams = new Set<string>();
  readonly h: Harness;
  readonly stream: FakeStream;
  private readonly verdicts = new Map<string, Verdict>();
  private readonly askedMs = new Map<string, number>();
  /** Since when something that isn't there is named. */
  private readonly missedMs = new Map<string, number>();
  private versions = 0;

  constructor() {
    this.h = start({
      credentials: () => TLS,
      wanted: (resources) => wantedNames('me', resources),
      onUpdate: (resources) => {
        // The client doesn't let what this throws through.
        try {
          this.look(resources);
        } catch (error) {
          this.faults.push(String(error));
        }
      },
    });
    this.stream = this.h.ads.last().connect();
    this.stream.respond('Sidecar', [delivered('Sidecar', 'default', '1', { gateway: true })], { removed: ['me'] });
    this.h.settle();
    for (const kind of ['Route', 'Service', 'PluginConfig', 'Consumer'] as const) this.stream.respond(kind, []);
    this.h.settle();
  }

  run(step: Step): void {
    switch (step.kind) {
      case 'put':
        return this.put(step);
      case 'remove':
        return this.remove(step.of, step.id);
      case 'answer':
        return void this.answer(step.pick, step.verdict);
      case 'mend':
        return this.mend(step.pick);
      case 'wait':
        return this.wait(step.ms);
    }
  }

  wait(ms: number): void {
    // What follows from the last response is asked for at once.
    this.h.clock.advance(1);
    this.noteAsked();
    this.h.clock.advance(ms - 1);
    for (const key of this.missedMs.keys()) {
      const [kind, id] = key.split(' ') as [NamedKind, string];
      if (this.of(kind).has(id)) this.missedMs.delete(key);
    }
    this.noteAsked();
  }

  /** Answers one name that is asked for; returns false where there is none. */
  answer(pick: number, verdict: Verdict): boolean {
    this.noteAsked();
    const open = [...this.askedMs.keys()].filter((key) => !this.verdicts.has(key));
    const key = open[pick % Math.max(1, open.length)];
    if (key === undefined) return false;
    this.say(key, verdict);
    return true;
  }

  /** What the server has in the end. */
  check(): void {
    const { h, has } = this;
    for (let i = 0; i < 30; i++) {
      h.clock.advance(1);
      this.answer(0, i % 3 === 2 ? 'refused' : 'good');
    }
    this.wait(ABSENCE_MS + 1_000);
    this.wait(WAIT_MS);
    for (const kind of NAMED_KINDS) {
      for (const [id, version] of has.get(kind) ?? []) {
        const served = this.seen.get(kind)?.get(id);
        if (served?.version.desc === version.desc) continue;
        const why = this.refusedFor(version);
        if (why === undefined || served === undefined || served.fault !== undefined) {
          this.faults.push(`${kind} ${id} is held for ever: ${served?.version.desc} in force, ${version.desc} sent`);
        }
      }
    }
    assert.deepEqual(this.faults, []);
    const named = new Set(this.namedUpstreams);
    for (const of of has.values()) {
      for (const { upstreamId } of of.values()) if (upstreamId !== undefined) named.add(upstreamId);
    }
    assert.deepEqual(this.stream.names('Upstream'), [...named].sort());
  }

  private put({ of, id, upstream, service, pluginConfig }: Step & { readonly kind: 'put' }): void {
    const desc = String(++this.versions);
    const port = upstream !== undefined && WITH_PORT.has(upstream) ? { servicePort: 80 } : {};
    const target = upstream === undefined ? {} : { upstreamId: upstream, ...port };
    const parents = {
      ...(service === undefined ? {} : { serviceId: service }),
      ...(pluginConfig === undefined ? {} : { pluginConfigId: pluginConfig }),
    };
    const version: Version = { desc, ...(of === 'PluginConfig' ? {} : target), ...(of === 'Route' ? parents : {}) };
    this.of(of).set(id, version);
    if (of === 'Route') {
      this.miss('Service', service);
      this.miss('PluginConfig', pluginConfig);
    }
    const message = of === 'Route' ? { uris: ['/'], ...version } : version;
    this.stream.respond(of, [delivered(of, id, desc, message)]);
  }

  private remove(kind: NamedKind, id: string): void {
    this.of(kind).delete(id);
    const isNamed = [...this.of('Route').values()].some(
      ({ serviceId, pluginConfigId }) => (kind === 'Service' ? serviceId : pluginConfigId) === id,
    );
    if (isNamed && kind !== 'Route') this.miss(kind, id);
    this.stream.respond(kind, [], { removed: [id] });
    this.wait(1);
    if (kind === 'Route' && this.seen.get('Route')?.has(id)) this.faults.push(`Route ${id} stays in force`);
  }

  private mend(pick: number): void {
    this.noteAsked();
    const bad = [...this.verdicts].filter(([, verdict]) => verdict !== 'good').map(([key]) => key);
    const key = bad[pick % Math.max(1, bad.length)];
    if (key !== undefined) this.say(key, 'good');
  }

  private say(key: string, verdict: Verdict): void {
    this.verdicts.set(key, verdict);
    const [kind, name] = key.split(' ') as ['Upstream' | 'Endpoints', string];
    if (verdict === 'absent') {
      this.stream.respond(kind, [], { removed: [name] });
      return;
    }
    const port = verdict === 'good' ? 80 : 99_999;
    const content =
      kind === 'Endpoints'
        ? { endpoints: [{ address: '10.0.0.2', port }] }
        : { nodes: WITH_PORT.has(name) && verdict === 'good' ? [] : [{ host: '10.0.0.1', port }] };
    this.stream.respond(kind, [delivered(kind, name, '1', content)]);
  }

  private noteAsked(): void {
    const asked = new Set<string>();
    for (const kind of ['Upstream', 'Endpoints'] as const) {
      for (const name of this.stream.names(kind)) asked.add(`${kind} ${name}`);
    }
    for (const key of this.askedMs.keys()) {
      if (asked.has(key)) continue;
      this.askedMs.delete(key);
      this.verdicts.delete(key);
    }
    for (const key of asked) if (!this.askedMs.has(key)) this.askedMs.set(key, this.h.clock.nowMs);
  }

  private miss(kind: NamedKind, id: Target): void {
    if (id === undefined || this.of(kind).has(id)) return;
    const key = `${kind} ${id}`;
    if (!this.missedMs.has(key)) this.missedMs.set(key, this.h.clock.nowMs);
  }

  private of(kind: NamedKind): Map<string, Version> {
    const found = this.has.get(kind);
    assert.ok(found);
    return found;
  }

  /** The Upstream or Endpoints of a version of which only bad ones came. */
  private refusedFor({ upstreamId, servicePort, serviceId }: Version): string | undefined {
    if (upstreamId === undefined) {
      const service = serviceId === undefined ? undefined : this.of('Service').get(serviceId);
      return service === undefined ? undefined : this.refusedFor(service);
    }
    const keys = [`Upstream ${upstreamId}`, ...(servicePort === undefined ? [] : [`Endpoints ${upstreamId}/80`])];
    return keys.find((key) => this.verdicts.get(key) === 'refused');
  }

  /** Whether an Upstream is named that may be here, by it or by the newest version of its Service. */
  private isAnswerable(version: Version): boolean {
    const { upstreamId, serviceId } = version;
    const service = serviceId === undefined ? undefined : this.of('Service').get(serviceId);
    if (upstreamId === undefined)
      return service === undefined || (service.upstreamId !== undefined && this.isAnswerable(service));
    const { servicePort } = version;
    return !this.isAbsent(`Upstream ${upstreamId}`) && !(servicePort && this.isAbsent(`Endpoints ${upstreamId}/80`));
  }

  /** Whether the server said that there is none, or was silent for too long. */
  private isAbsent(key: string): boolean {
    const verdict = this.verdicts.get(key);
    if (verdict !== undefined) return verdict === 'absent';
    const { nowMs } = this.h.clock;
    return nowMs - (this.askedMs.get(key) ?? nowMs) >= ABSENCE_MS - 1;
  }

  /** Looks at what is in force now, against what was. */
  private look(resources: Resources): void {
    const seen = new Map(NAMED_KINDS.map((kind) => [kind, new Map<string, Served>()]));
    this.namedUpstreams = new Set();
    const stale = new Set<string>();
    for (const kind of NAMED_KINDS) {
      const has = this.of(kind);
      for (const { name, message } of resources.all<NamedKind>(kind)) {
        const version = message as Version;
        const { desc } = version;
        if (version.upstreamId !== undefined) this.namedUpstreams.add(version.upstreamId);
        const find = kind === 'Route' ? faultOf : kind === 'Service' ? serviceFault : () => undefined;
        const fault = find({ message: version }, resources);
        seen.get(kind)?.set(name, { version, fault });
        const before = this.seen.get(kind)?.get(name);
        const bad = fault && this.isBad(fault, before, { desc, isLatest: has.get(name)?.desc === desc });
        if (bad === true) this.faults.push(`${kind} ${name}:${desc} lacks ${fault?.kind} ${fault?.name}`);
        if (kind === 'Route') {
          if (!has.has(name)) this.faults.push(`Route ${name} was removed`);
          if (has.get(name)?.desc === desc) continue;
          stale.add(`Service ${version.serviceId}`);
          stale.add(`PluginConfig ${version.pluginConfigId}`);
        } else if (!has.has(name) && !stale.has(`${kind} ${name}`)) this.faults.push(`${kind} ${name} stays in force`);
      }
    }
    for (const [name, { fault }] of this.seen.get('Route') ?? []) {
      if (fault !== undefined || !this.of('Route').has(name) || seen.get('Route')?.has(name)) continue;
      this.faults.push(`Route ${name} went`);
    }
    this.seen = seen;
  }

  /** Whether something in force mustn't lack what it lacks. */
  private isBad(
    { kind, name }: Fault,
    before: Served | undefined,
    { desc, isLatest }: { readonly desc: string; readonly isLatest: boolean },
  ): boolean {
    // Its Service may lose its Upstream in the same turn.
    const wasWell = before !== undefined && before.fault === undefined && this.isAnswerable(before.version);
    const { nowMs } = this.h.clock;
    const key = `${kind} ${name}`;
    if (kind === 'none') return false;
    if (kind === 'Upstream' || kind === 'Endpoints') {
      return this.verdicts.get(key) === 'refused' ? wasWell : !this.isAbsent(key);
    }
    if (this.of(kind).has(name)) return true;
    if (!wasWell) return false;
    if (!isLatest) return true;
    return before.version.desc !== desc && nowMs - (this.missedMs.get(key) ?? nowMs) < ABSENCE_MS;
  }
}

describe('a change of the gateway', () => {
  it('is made before the old one breaks, in any order, and ends where the server is', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 1, maxLength: 60, size: 'max' }), (script) => {
        const world = new World();
        for (const step of script) world.run(step);
        world.check();
        void world.h.client.stop();
      }),
      { numRuns: 1_500, seed: 7, includeErrorInReport: true },
    );
  });
});
