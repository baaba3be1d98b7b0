// gRPC server reflection, v1 and v1alpha (the messages are the same). It serves the compiler's own descriptor bytes:
// libraries that rebuild descriptors from loaded types lose the import list, and grpcurl can then resolve nothing.
import { status, type handleBidiStreamingCall, type ServerDuplexStream } from '@grpc/grpc-js';
import type { ServerReflectionRequest, ServerReflectionResponse } from '../gen/grpc/reflection/v1/reflection.ts';
import { DescriptorPool, type DescriptorFile } from './descriptor-pool.ts';

let pool: Promise<DescriptorPool> | undefined;

/** The pool over all protos of this program; loaded when it is first asked for. */
export function descriptorPool(): Promise<DescriptorPool> {
  pool ??= import('../gen/descriptors.ts').then(
    ({ DESCRIPTOR_SET_BASE64 }) => new DescriptorPool(Buffer.from(DESCRIPTOR_SET_BASE64, 'base64')),
  );
  return pool;
}

type ReflectionCall = ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;

/** The method ServerReflectionInfo of both versions. `services` are the full names that the server serves. */
export function createReflection(
  services: readonly string[],
): handleBidiStreamingCall<ServerReflectionRequest, ServerReflectionResponse> {
  return (call) => {
    descriptorPool().then(
      (files) => serve(call, files, services),
      (error: unknown) => call.emit('error', { code: status.INTERNAL, details: `no descriptors: ${String(error)}` }),
    );
  };
}

function serve(call: ReflectionCall, files: DescriptorPool, services: readonly string[]): void {
  const sent = new Set<DescriptorFile>();
  call.on('data', (request: ServerReflectionRequest) => {
    // A client that asks and doesn't read is not read from either.
    if (!call.write(answer(request, files, services, sent))) call.pause();
  });
  call.on('drain', () => call.resume());
  call.on('end', () => call.end());
}

/** The response to one request. `sent` are the files that the stream has carried: they aren't repeated as imports. */
export function answer(
  request: ServerReflectionRequest,
  files: DescriptorPool,
  services: readonly string[],
  sent: Set<DescriptorFile>,
): ServerReflectionResponse {
  return {
    validHost: request.host,
    originalRequest: request,
    messageResponse: respond(request, files, services, sent),
  };
}

function respond(
  { messageRequest }: ServerReflectionRequest,
  files: DescriptorPool,
  services: readonly string[],
  sent: Set<DescriptorFile>,
): NonNullable<ServerReflectionResponse['messageResponse']> {
  switch (messageRequest?.$case) {
    case 'listServices':
      return {
        $case: 'listServicesResponse',
        value: { service: services.toSorted().map((name) => ({ name })) },
      };
    case 'fileByFilename':
      return fileResponse(files.file(messageRequest.value), `file ${messageRequest.value}`, files, sent);
    case 'fileContainingSymbol':
      return fileResponse(files.fileOfSymbol(messageRequest.value), `symbol ${messageRequest.value}`, files, sent);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = messageRequest.value;
      const file = files.fileOfExtension(containingType, extensionNumber);
      return fileResponse(file, `extension ${extensionNumber} of ${containingType}`, files, sent);
    }
    case 'allExtensionNumbersOfType': {
      const extensionNumber = files.extensionNumbers(messageRequest.value);
      if (!extensionNumber) return errorResponse(status.NOT_FOUND, `type ${messageRequest.value} is not known`);
      return {
        $case: 'allExtensionNumbersResponse',
        value: { baseTypeName: messageRequest.value, extensionNumber },
      };
    }
    case undefined:
      return errorResponse(status.INVALID_ARGUMENT, 'message_request is not set');
  }
}

function fileResponse(
  file: DescriptorFile | undefined,
  what: string,
  files: DescriptorPool,
  sent: Set<DescriptorFile>,
): NonNullable<ServerReflectionResponse['messageResponse']> {
  if (!file) return errorResponse(status.NOT_FOUND, `${what} is not known`);
  const fileDescriptorProto: Buffer[] = [];
  for (const each of files.withImports(file)) {
    if (each !== file && sent.has(each)) continue;
    sent.add(each);
    fileDescriptorProto.push(Buffer.from(each.bytes.buffer, each.bytes.byteOffset, each.bytes.byteLength));
  }
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function errorResponse(
  errorCode: number,
  errorMessage: string,
): NonNullable<ServerReflectionResponse['messageResponse']> {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
