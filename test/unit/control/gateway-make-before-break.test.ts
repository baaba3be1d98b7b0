// A property: whatever happens to Routes, Services and their Upstreams, and in whatever order it arrives, no Route or
// Service in force names an Upstream that isn't there while the server has it, what was removed is out of force in the
// same turn, and in the end exactly what the server has is in force and asked for.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Resources } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import type { DeliveredResource } from '../../../src/control/subscription.ts';
import type { FakeStream } from '../../support/fake-ads.ts';
import { delivered } from '../../support/fake-ads.ts';
import { start, TLS } from './client-harness.ts';

const UPSTREAMS = ['a', 'b', 'c', 'd'];
/** Of these the Endpoints come on their own. */
const WITH_PORT = new Set(['c', 'd']);

type Target = string | undefined;
type Step =
  | { readonly kind: 'route' | 'service'; readonly id: string; readonly upstream: Target; readonly service: Target }
  | { readonly kind: 'remove'; readonly of: 'Route' | 'Service'; readonly id: string }
  | { readonly kind: 'answer'; readonly pick: number }
  | { readonly kind: 'turn' }
  | { readonly kind: 'wait' };

const ids = fc.constantFrom('1', '2', '3');
const targets = fc.option(fc.constantFrom(...UPSTREAMS), { nil: undefined });
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('route' as const, 'route' as const, 'service' as const),
    id: ids,
    upstream: targets,
    service: fc.option(ids, { nil: undefined, freq: 2 }),
  }),
  fc.record({
    kind: fc.constant('remove' as const),
    of: fc.constantFrom('Route' as const, 'Service' as const),
    id: ids,
  }),
  fc.record({ kind: fc.constant('answer' as const), pick: fc.nat(10) }),
  fc.record({ kind: fc.constant('answer' as const), pick: fc.nat(10) }),
  fc.constant({ kind: 'turn' as const }),
  fc.constant({ kind: 'turn' as const }),
  fc.constant({ kind: 'wait' as const }),
);

function upstream(name: string): DeliveredResource {
  return delivered('Upstream', name, '1', WITH_PORT.has(name) ? {} : { nodes: [{ host: '10.0.0.1', port: 80 }] });
}

function namesOf(upstreamId: Target): { upstreamId?: string; servicePort?: number } {
  if (upstreamId === undefined) return {};
  return { upstreamId, ...(WITH_PORT.has(upstreamId) ? { servicePort: 80 } : {}) };
}

/** Names that are subscribed and weren't answered since. */
function due(stream: FakeStream, answered: Set<string>): { kind: 'Upstream' | 'Endpoints'; name: string }[] {
  const found: { kind: 'Upstream' | 'Endpoints'; name: string }[] = [];
  for (const kind of ['Upstream', 'Endpoints'] as const) {
    const subscribed = new Set(stream.names(kind));
    for (const key of answered) {
      if (key.startsWith(`${kind} `) && !subscribed.has(key.slice(kind.length + 1))) answered.delete(key);
    }
    for (const name of subscribed) if (!answered.has(`${kind} ${name}`)) found.push({ kind, name });
  }
  return found;
}

describe('a change of the gateway', () => {
  it('is made before the old one breaks, in any order, and ends where the server is', () => {
    fc.assert(
      fc.property(fc.array(steps, { minLength: 1, maxLength: 60 }), (script) => {
        const has = { Route: new Map<string, string>(), Service: new Map<string, string>() };
        const faults: string[] = [];
        let seen: Record<'Route' | 'Service', Record<string, string>> = { Route: {}, Service: {} };
        const h = start({
          credentials: () => TLS,
          wanted: (resources) => wantedNames('me', resources),
          onUpdate: (resources: Resources) => {
            seen = { Route: {}, Service: {} };
            for (const kind of ['Route', 'Service'] as const) {
              for (const { name, message } of resources.all<'Route' | 'Service'>(kind)) {
                seen[kind][name] = message.desc ?? '';
                if (!has[kind].has(name)) faults.push(`${kind} ${name} was removed`);
                const { upstreamId } = message;
                if (upstreamId === undefined) continue;
                if (resources.get('Upstream', upstreamId) === undefined) faults.push(`${kind} ${name}: no Upstream`);
                const port = message.servicePort;
                if (port !== undefined && resources.get('Endpoints', `${upstreamId}/${port}`) === undefined) {
                  faults.push(`${kind} ${name}: no Endpoints`);
                }
              }
            }
          },
        });
        const stream = h.ads.last().connect();
        stream.respond('Sidecar', [delivered('Sidecar', 'default', '1', { gateway: true })], { removed: ['me'] });
        h.settle();
        for (const kind of ['Route', 'Service', 'PluginConfig', 'Consumer'] as const) stream.respond(kind, []);
        h.settle();
        const answered = new Set<string>();
        const answer = (pick: number): boolean => {
          const open = due(stream, answered);
          const next = open[pick % Math.max(1, open.length)];
          if (next === undefined) return false;
          answered.add(`${next.kind} ${next.name}`);
          const { kind, name } = next;
          const made =
            kind === 'Upstream'
              ? upstream(name)
              : delivered('Endpoints', name, '1', { endpoints: [{ address: '10.0.0.2', port: 80 }] });
          stream.respond(kind, [made]);
          return true;
        };
        let version = 0;
        for (const step of script) {
          const desc = String(++version);
          if (step.kind === 'route') {
            const more = step.service === undefined ? {} : { serviceId: step.service };
            has.Route.set(step.id, desc);
            const message = { uris: ['/'], desc, ...namesOf(step.upstream), ...more };
            stream.respond('Route', [delivered('Route', step.id, desc, message)]);
          } else if (step.kind === 'service') {
            has.Service.set(step.id, desc);
            stream.respond('Service', [delivered('Service', step.id, desc, { desc, ...namesOf(step.upstream) })]);
          } else if (step.kind === 'remove') {
            has[step.of].delete(step.id);
            stream.respond(step.of, [], { removed: [step.id] });
            h.settle();
            if (step.id in seen[step.of]) faults.push(`${step.of} ${step.id} stays in force`);
          } else if (step.kind === 'answer') answer(step.pick);
          else h.clock.advance(step.kind === 'turn' ? 1 : 2_500);
        }
        for (let i = 0; i < 30; i++) {
          h.clock.advance(1);
          answer(0);
        }
        h.clock.advance(2_500);
        assert.deepEqual(faults, []);
        assert.deepEqual(seen, { Route: Object.fromEntries(has.Route), Service: Object.fromEntries(has.Service) });
        const named = new Set<string>();
        for (const entry of h.client.entries()) {
          const message = entry.resource?.message;
          if (
            (entry.kind === 'Route' || entry.kind === 'Service') &&
            message !== undefined &&
            'upstreamId' in message
          ) {
            if (message.upstreamId !== undefined) named.add(message.upstreamId);
          }
        }
        assert.deepEqual(stream.names('Upstream'), [...named].sort());
        void h.client.stop();
      }),
      { numRuns: 400, seed: 7 },
    );
  });
});
