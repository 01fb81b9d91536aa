import { methodOf } from '../load.ts';

/** Between a value and its bytes; `decode` throws where the bytes do not hold such a value. */
export interface Codec<T> {
  encode(value: T): Buffer;
  decode(body: Buffer): T;
}

/** A call of cs: its number on the stream, and what it carries there and back. */
export interface CallType<Request, Answer> {
  readonly method: number;
  readonly request: Codec<Request>;
  readonly answer: Codec<Answer>;
}

/** Between a value and the plain object that the loader writes and reads for a message. */
export interface Shape<T, Plain extends object> {
  plainOf(value: T): Plain;
  valueOf(plain: Plain): T;
}

const nothing = {};

/** Shape of messages without fields. */
export const emptyShape: Shape<void, object> = {
  plainOf: () => nothing,
  valueOf: () => {},
};

function codecOf<T, Plain extends object>(
  shape: Shape<T, Plain>,
  serialize: (plain: object) => Buffer,
  deserialize: (body: Buffer) => object,
): Codec<T> {
  return {
    encode: (value) => serialize(shape.plainOf(value)),
    // The loader knows the fields of the message, but not their types: here they get them.
    decode: (body) => shape.valueOf(deserialize(body) as Plain),
  };
}

/** A method of the service `Calls`, whose messages have these shapes. */
export function callType<Request, PlainRequest extends object, Answer, PlainAnswer extends object>(
  name: string,
  request: Shape<Request, PlainRequest>,
  answer: Shape<Answer, PlainAnswer>,
): CallType<Request, Answer> {
  const { number, definition } = methodOf('Calls', name);
  return {
    method: number,
    request: codecOf(request, definition.requestSerialize, definition.requestDeserialize),
    answer: codecOf(answer, definition.responseSerialize, definition.responseDeserialize),
  };
}

/** The part of a message that has to be there. */
export function required<T>(part: T | null | undefined, name: string): T {
  if (part === null || part === undefined) throw new RangeError(`${name} is missing`);
  return part;
}
