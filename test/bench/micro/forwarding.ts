import type { Fields, RequestHead } from '../../../src/codec/exchange.ts';
import { addForwardingFields } from '../../../src/proxy/forwarding.ts';
import { PROCESS } from './forwarded.ts';
import { browserRequest, digits, grpcRequest, requestHead, shortRequest, VARIANTS, variants } from './heads.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

const CALLER = '10.0.0.9';
const LOCAL_CALLER = '127.0.0.1';

/** The fields that a request gains on its way. */
export const forwarding: MicroGroup = {
  name: 'forwarding',
  operation: 'request',
  cases: () => [
    requests('1 field', CALLER, (index) => requestHead(shortRequest(index))),
    requests('10 fields', CALLER, (index) => requestHead(browserRequest(index))),
    requests('gRPC, 4 fields', CALLER, grpcRequest),
    requests('gRPC, traced by the application', LOCAL_CALLER, (index) => withFields(index, traceFields(index))),
    requests('behind a proxy that is believed', LOCAL_CALLER, (index) => withFields(index, proxyFields(index))),
    requests('behind a proxy that is not', CALLER, (index) => withFields(index, proxyFields(index))),
  ],
};

function withFields(index: number, more: Fields): RequestHead {
  const head = grpcRequest(index);
  head.fields.push(...more);
  return head;
}

function traceFields(index: number): Fields {
  const trace = `8f14e45fceea167a5a36dedd4be${digits(index)}`;
  return ['x-request-id', trace, 'traceparent', `00-${trace}-00f067aa0ba902b7-01`];
}

function proxyFields(index: number): Fields {
  return [
    ...traceFields(index),
    'x-forwarded-for',
    `198.51.100.${index & 255}`,
    'x-forwarded-proto',
    'https',
    'x-forwarded-host',
    'shop.example',
    'x-forwarded-port',
    '443',
    'x-real-ip',
    `198.51.100.${index & 255}`,
    'via',
    '1.1 edge-1',
  ];
}

function requests(name: string, remoteAddress: string, make: (index: number) => RequestHead): MicroCase {
  const heads = variants(make);
  const lists = heads.map(({ fields }) => fields);
  return {
    name,
    operations: VARIANTS,
    prepare() {
      heads.forEach((head, index) => (head.fields = lists[index]!.slice()));
    },
    run() {
      let length = 0;
      for (const head of heads) {
        const { requestId } = addForwardingFields(head, remoteAddress, 9080, PROCESS);
        length += head.fields.length + requestId.length;
      }
      return length;
    },
  };
}
