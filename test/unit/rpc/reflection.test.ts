import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, descriptorPool } from '../../../src/rpc/reflection.ts';
import type { DescriptorFile } from '../../../src/rpc/descriptor-pool.ts';
import type {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../../src/gen/grpc/reflection/v1/reflection.ts';

type Question = ServerReflectionRequest['messageRequest'];
type Answer = ServerReflectionResponse['messageResponse'];

async function asker(): Promise<(question: Question) => Answer> {
  const pool = await descriptorPool();
  const sent = new Set<DescriptorFile>();
  return (messageRequest) => {
    const request = { host: 'h', messageRequest };
    const response = answer(request, pool, ['b.B', 'a.A'], sent);
    assert.equal(response.validHost, 'h');
    assert.equal(response.originalRequest, request);
    return response.messageResponse;
  };
}

function fileCount(response: Answer): number {
  assert.equal(response?.$case, 'fileDescriptorResponse');
  return response.value.fileDescriptorProto.length;
}

test('imports come once a stream, a file asked for again comes again', async () => {
  const ask = await asker();
  assert.equal(fileCount(ask({ $case: 'fileContainingSymbol', value: 'google.rpc.Status' })), 2);
  assert.equal(fileCount(ask({ $case: 'fileContainingSymbol', value: 'google.rpc.Status' })), 1);
  // any.proto was sent with status.proto: only timestamp.proto is new.
  assert.equal(fileCount(ask({ $case: 'fileByFilename', value: 'outrigger/admin/v1/admin.proto' })), 2);
  assert.equal(fileCount((await asker())({ $case: 'fileByFilename', value: 'outrigger/admin/v1/admin.proto' })), 3);
});

test('the services are listed in order', async () => {
  assert.deepEqual((await asker())({ $case: 'listServices', value: '*' }), {
    $case: 'listServicesResponse',
    value: { service: [{ name: 'a.A' }, { name: 'b.B' }] },
  });
});

test('what is not known is an error response, not an end of the stream', async () => {
  const ask = await asker();
  const questions: Question[] = [
    { $case: 'fileByFilename', value: 'no.proto' },
    { $case: 'fileContainingSymbol', value: 'no.Symbol' },
    { $case: 'fileContainingExtension', value: { containingType: 'google.rpc.Status', extensionNumber: 100 } },
    { $case: 'allExtensionNumbersOfType', value: 'no.Type' },
  ];
  for (const question of questions) {
    const response = ask(question);
    assert.equal(response?.$case, 'errorResponse');
    assert.equal(response.value.errorCode, 5);
    assert.match(response.value.errorMessage, /is not known$/);
  }
  const unset = ask(undefined);
  assert.ok(unset?.$case === 'errorResponse' && unset.value.errorCode === 3);
  const none = ask({ $case: 'allExtensionNumbersOfType', value: 'google.rpc.Status' });
  assert.ok(none?.$case === 'allExtensionNumbersResponse' && none.value.extensionNumber.length === 0);
});
