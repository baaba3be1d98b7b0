import { recordLatency } from '../../../src/balance/latency.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { Cells, EndpointCell, PortCell } from '../../../src/model/cells.ts';
import { CounterCell, Counters, requestCell, responseCell } from '../../../src/telemetry/counters.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

const REQUESTS = 1024;
const STATUSES = [200, 200, 204, 200, 301, 200, 404, 503];
const VERSIONS = [11, 20] as const;

/** What is counted of a request. */
export const counters: MicroGroup = {
  name: 'counters',
  operation: 'request',
  cases: () => [ofProcess(), ofPort(), latencies()],
};

/** Version, class of status, bytes each way. */
function ofProcess(): MicroCase {
  const all = new Counters();
  return {
    name: 'of the process',
    operations: REQUESTS,
    run() {
      for (let i = 0; i < REQUESTS; i++) {
        const status = STATUSES[i & 7]!;
        all.count(requestCell(VERSIONS[i & 1]!));
        all.count(responseCell(status));
        all.add(CounterCell.DownstreamBytesReceived, i);
        all.add(CounterCell.DownstreamBytesSent, status);
      }
      return all.total(CounterCell.Responses2xx) + all.total(CounterCell.DownstreamBytesSent);
    },
  };
}

/** The cells of its upstream port and of its endpoint, at the beginning and at the end. */
function ofPort(): MicroCase {
  const endpoints = new Cells();
  const ports = new Cells();
  const slots = Array.from({ length: 64 }, () => endpoints.allocate());
  const port = ports.allocate();
  return {
    name: 'of the port and the endpoint',
    operations: REQUESTS,
    run() {
      for (let i = 0; i < REQUESTS; i++) {
        const slot = slots[(i * 7) & 63]!;
        ports.add(port, PortCell.InFlight, 1);
        ports.count(port, PortCell.Requests);
        endpoints.count(slot, EndpointCell.Picks);
        endpoints.add(slot, EndpointCell.InFlight, 1);
        endpoints.count(slot, EndpointCell.Attempts);
        endpoints.count(slot, (i & 7) === 0 ? EndpointCell.Failures : EndpointCell.Successes);
        endpoints.add(slot, EndpointCell.InFlight, -1);
        ports.count(port, PortCell.Successes);
        ports.add(port, PortCell.InFlight, -1);
      }
      return ports.total(port, PortCell.Requests) + endpoints.total(slots[0]!, EndpointCell.Failures);
    },
  };
}

function latencies(): MicroCase {
  const rng = seededRng(1);
  const cells = new Cells();
  const slots = Array.from({ length: 64 }, () => cells.allocate());
  const samples = Array.from({ length: 256 }, () => {
    const headMs = 1 + 20 * rng.unit();
    return { connectMs: 0, headMs, totalMs: headMs + 1, failed: rng.below(32) === 0 };
  });
  let nowMs = 20_000;
  return {
    name: 'latency of the endpoint',
    operations: REQUESTS,
    run() {
      for (let i = 0; i < REQUESTS; i++) {
        nowMs += 0.01;
        recordLatency(cells, slots[(i * 7) & 63]!, samples[i & 255]!, nowMs);
      }
      return cells.get(slots[0]!, EndpointCell.LatencyUs);
    },
  };
}
