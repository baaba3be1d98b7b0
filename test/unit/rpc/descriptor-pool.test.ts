import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { DescriptorPool } from '../../../src/rpc/descriptor-pool.ts';
import { DESCRIPTOR_SET_BASE64 } from '../../../src/gen/descriptors.ts';

const SET = Buffer.from(DESCRIPTOR_SET_BASE64, 'base64');

test('holds every import of every file, and the bytes of the set untouched', () => {
  const pool = new DescriptorPool(SET);
  const names = [...pool.fileNames()];
  assert.ok(names.includes('google/protobuf/any.proto'));
  const rebuilt = new BinaryWriter();
  for (const name of names) {
    const file = pool.file(name);
    assert.ok(file);
    rebuilt.uint32(10).bytes(file.bytes);
    for (const imported of file.imports) assert.ok(pool.file(imported), `${name} imports ${imported}`);
  }
  assert.deepEqual(Buffer.from(rebuilt.finish()), SET);
});

test('finds files by every sort of symbol', () => {
  const pool = new DescriptorPool(SET);
  const admin = 'outrigger/admin/v1/admin.proto';
  for (const symbol of [
    'outrigger.admin.v1.AdminService',
    'outrigger.admin.v1.AdminService.GetSnapshot',
    'outrigger.admin.v1.EndpointStatus',
    'outrigger.admin.v1.EndpointStatus.service_port',
    'outrigger.admin.v1.EndpointStatus.LabelsEntry',
    'outrigger.admin.v1.WatchEndpointsResponse.Change',
    'outrigger.admin.v1.WatchEndpointsResponse.CHANGE_ADDED',
    'outrigger.admin.v1.RESOURCE_STATE_ACKED',
  ]) {
    assert.equal(pool.fileOfSymbol(symbol)?.name, admin, symbol);
  }
  const oneof = 'grpc.reflection.v1.ServerReflectionRequest.message_request';
  assert.equal(pool.fileOfSymbol(oneof)?.name, 'grpc/reflection/v1/reflection.proto');
  assert.equal(pool.fileOfSymbol('outrigger.config.v1.Upstream')?.name, 'outrigger/config/v1/upstream.proto');
  for (const symbol of ['', 'outrigger', 'outrigger.admin.v1', '.outrigger.admin.v1.AdminService', 'AdminService']) {
    assert.equal(pool.fileOfSymbol(symbol), undefined, symbol);
  }
});

test('a file comes first, then what it imports, each once', () => {
  const pool = new DescriptorPool(SET);
  const ads = pool.file('envoy/service/discovery/v3/ads.proto');
  assert.ok(ads);
  const names = pool.withImports(ads).map((file) => file.name);
  assert.equal(names[0], ads.name);
  assert.deepEqual(names.slice(1).toSorted(), [
    'envoy/config/core/v3/base.proto',
    'envoy/service/discovery/v3/discovery.proto',
    'google/protobuf/any.proto',
    'google/protobuf/duration.proto',
    'google/protobuf/struct.proto',
    'google/rpc/status.proto',
  ]);
});

test('extensions are found by type and number', () => {
  const extension = new BinaryWriter().uint32(10).string('extra').uint32(18).string('.a.Base').uint32(24).int32(123);
  const base = new BinaryWriter().uint32(10).string('Base');
  const file = new BinaryWriter().uint32(10).string('a.proto').uint32(18).string('a');
  file.uint32(26).string('missing.proto').uint32(34).bytes(base.finish()).uint32(58).bytes(extension.finish());
  const pool = new DescriptorPool(new BinaryWriter().uint32(10).bytes(file.finish()).finish());
  assert.equal(pool.fileOfExtension('a.Base', 123)?.name, 'a.proto');
  assert.equal(pool.fileOfExtension('a.Base', 124), undefined);
  assert.deepEqual(pool.extensionNumbers('a.Base'), [123]);
  assert.deepEqual(pool.extensionNumbers('a.extra'), []);
  assert.equal(pool.extensionNumbers('a.None'), undefined);
  const found = pool.file('a.proto');
  assert.ok(found);
  assert.deepEqual(pool.withImports(found), [found]);
});
