import { fileURLToPath } from 'node:url';
import { loadSync } from '@grpc/proto-loader';
import type {
  AnyDefinition,
  MethodDefinition,
  PackageDefinition,
  ServiceDefinition,
} from '@grpc/proto-loader';

/** A method of a service of link.proto, with its place there, from 1. */
interface LoadedMethod {
  readonly number: number;
  readonly definition: MethodDefinition<object, object>;
}

// From dist/src, where the compiled file is.
const file = fileURLToPath(new URL('../../link.proto', import.meta.url));

// Plain objects as they are read: numbers below 2^53, Buffers, every field that is not `optional`
// at its default (messages: null), `optional` ones and those of a oneof only where they were sent.
const loaded: PackageDefinition = loadSync(file, { longs: Number, defaults: true });

function isService(definition: AnyDefinition | undefined): definition is ServiceDefinition {
  return definition !== undefined && !('format' in definition);
}

export function methodOf(service: string, method: string): LoadedMethod {
  const methods = loaded[`lmqtt.${service}`];
  if (!isService(methods)) throw new Error(`link.proto has no service ${service}`);
  const definition = methods[method];
  if (definition === undefined) throw new Error(`link.proto has no method ${service}.${method}`);
  return { number: Object.keys(methods).indexOf(method) + 1, definition };
}
