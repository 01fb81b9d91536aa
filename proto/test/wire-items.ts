// Every item of a frame: a random value of it, how it is written by hand, what it is in the words
// of link.proto (for the loader, which checks what was written by hand), and what its reader says.
import { isTime, timeOf } from '@lmqtt/common/cursor';
import { sessionHandle } from '@lmqtt/common/ids';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import fc from 'fast-check';
import { plainMessage } from '../src/calls/message.ts';
import { presented } from '../src/calls/session.ts';
import type { Assignment, GroupFence } from '../src/assignment.ts';
import type { Publish, ReadRequest, SessionWrite } from '../src/link.ts';
import type { Place } from '../src/session-state.ts';
import type { DownstreamHandler } from '../src/wire/downstream-reader.ts';
import * as downstream from '../src/wire/downstream-writer.ts';
import type { Exchange } from '../src/wire/exchange.ts';
import { SentMessage } from '../src/wire/message-codec.ts';
import * as upstream from '../src/wire/upstream.ts';
import type { NumberedPublish, UpstreamHandler } from '../src/wire/upstream.ts';
import * as values from './link-arbitraries.ts';
import { comparable, time, u32, u53 } from './link-arbitraries.ts';

/** One call of a handler: its name and what it was given, comparable. */
export type Said = readonly unknown[];

export interface ItemSample {
  readonly write: (exchange: Exchange) => void;
  /** The items that are written. */
  readonly items: readonly object[];
  readonly said: readonly Said[];
}

export interface ItemKind {
  readonly name: string;
  readonly sample: fc.Arbitrary<ItemSample>;
}

function clientOf(session: SessionHandle): string {
  return `client of ${session}`;
}

/** The publish of a cs under this number, as it was sent. */
function sentMessage(number: number): SentMessage {
  const payload = Buffer.from(String(number));
  const message = new SentMessage(
    ...(['sent', 1, false, payload, -1, 0, payload.length, undefined, 0, 'client'] as const),
  );
  message.origin = sentMessage;
  message.number = number;
  return message;
}

/** The cs of the samples has let the others go. */
function isKept(number: number): boolean {
  return number % 3 !== 0;
}

/** Both sides' handlers in one: keeps what it is told. */
export class Listener implements UpstreamHandler, DownstreamHandler {
  readonly said: Said[] = [];

  clientOf(session: SessionHandle): string {
    return clientOf(session);
  }

  publishes(batch: NumberedPublish[]): void {
    this.#hear('publishes', batch);
  }

  writes(number: number, batch: SessionWrite[]): void {
    this.#hear('writes', number, batch);
  }

  credit(session: SessionHandle, messagesTotal: number): void {
    this.#hear('credit', session, messagesTotal);
  }

  call(id: number, method: number, body: Buffer): void {
    this.#hear('call', id, method, body);
  }

  read(id: number, request: ReadRequest): void {
    this.#hear('read', id, request);
  }

  presents(sessions: unknown[], last: boolean): void {
    this.#hear('presents', sessions, last);
  }

  published(first: number, reasonCodes: Uint8Array): void {
    this.#hear('published', first, [...reasonCodes]);
  }

  refused(session: SessionHandle, reasonCode: number): void {
    this.#hear('refused', session, reasonCode);
  }

  sent(number: number): Message | undefined {
    return isKept(number) ? sentMessage(number) : undefined;
  }

  push(batch: Message[]): void {
    this.#hear('push', batch);
  }

  assign(batch: Assignment[]): void {
    this.#hear('assign', batch);
  }

  fence(fence: GroupFence): void {
    this.#hear('fence', fence);
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.#hear('kick', session, reasonCode);
  }

  rights(session: SessionHandle, rights: string | undefined): void {
    this.#hear('rights', session, rights);
  }

  behind(ends: unknown[]): void {
    this.#hear('behind', ends);
  }

  durable(numbers: number[], fenced: number[]): void {
    this.#hear('durable', numbers, fenced);
  }

  answer(id: number, body: Buffer): void {
    this.#hear('answer', id, body);
  }

  failed(id: number, error: string): void {
    this.#hear('failed', id, error);
  }

  readAnswer(id: number, answer: unknown): void {
    this.#hear('readAnswer', id, answer);
  }

  presented(refusals: unknown[]): void {
    this.#hear('presented', refusals);
  }

  #hear(name: string, ...parts: unknown[]): void {
    this.said.push([name, ...parts.map(comparable)]);
  }
}

function kind<T>(
  name: string,
  value: fc.Arbitrary<T>,
  write: (exchange: Exchange, value: T) => void,
  items: (value: T) => object[],
  said: (value: T) => Said[],
): ItemKind {
  const sample = value.map((value) => ({
    write: (exchange: Exchange) => write(exchange, value),
    items: items(value),
    said: said(value).map((call) => call.map(comparable)),
  }));
  return { name, sample };
}

// From cs

const publish: fc.Arbitrary<Publish> = fc.record({
  session: values.session,
  packetId: values.u16,
  message: values.message,
  reasonCode: fc.constant(0),
});

/** As ds reads them: the publisher is the session's client. */
export function asRead(first: number, batch: readonly Publish[]): object[] {
  let next = first;
  return batch.map(({ session, packetId, message }) => ({
    session,
    packetId,
    message: { ...Object(comparable(message)), publisher: clientOf(session) },
    reasonCode: 0,
    number: message.qos === 0 ? 0 : next++,
  }));
}

export const publishes: fc.Arbitrary<{ first: number; batch: Publish[] }> = fc.record({
  first: fc.oneof(fc.nat({ max: 300 }), fc.constant(2 ** 53 - 100)),
  batch: fc.array(publish, { maxLength: 6 }),
});

const place = values.place;
const { session, queue, group, text } = values;

const sessionWrite: fc.Arbitrary<SessionWrite> = fc.oneof(
  fc.record({
    kind: fc.constant('sent' as const),
    session,
    packetId: values.u16,
    qos: fc.constantFrom<1 | 2>(1, 2),
    sequence: u53,
    place,
    filter: text,
  }),
  fc.record({ kind: fc.constant('released' as const), session, packetId: values.u16 }),
  fc.record({
    kind: fc.constant('done' as const),
    session,
    packetId: values.u16,
    failed: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('position' as const),
    session,
    queue,
    partition: u32,
    position: u53,
  }),
  fc.record({
    kind: fc.constant('assigned-done' as const),
    session,
    group,
    partition: u32,
    offset: u53,
  }),
  fc.record({ kind: fc.constant('fenced' as const), session, group, number: u53, letGo: u53 }),
  fc.record({ kind: fc.constant('inbound-done' as const), session, packetId: values.u16 }),
  fc.record({
    kind: fc.constant('retained-cursor' as const),
    session,
    filter: text,
    after: values.orAbsent(text),
  }),
);

function plainPlace(place: Place): object {
  const { kind, ...fields } = place;
  return kind === 'retained' ? { ...fields, queue: 0 } : fields;
}

function plainWrite(write: SessionWrite): object {
  switch (write.kind) {
    case 'sent':
      return { ...write, kind: 'SENT', place: plainPlace(write.place) };
    case 'position':
      return { ...write, kind: 'POSITION', offset: write.position };
    case 'fenced': {
      const { kind: _kind, number, letGo, ...rest } = write;
      return { ...rest, kind: 'FENCED', sequence: number, offset: letGo };
    }
    default:
      return { ...write, kind: write.kind.toUpperCase().replace('-', '_') };
  }
}

const readRequest: fc.Arbitrary<ReadRequest> = fc.record({
  queue,
  partition: u32,
  from: fc.oneof(u53, time),
  messagesMax: u32,
  bytesMax: u32,
});

function plainFrom({ from }: ReadRequest): object {
  return isTime(from) ? { from: 0, since: timeOf(from) } : { from, since: 0 };
}

export const upstreamKinds: readonly ItemKind[] = [
  kind(
    'publishes',
    publishes,
    (exchange, { first, batch }) => upstream.writePublishes(exchange, first, batch),
    ({ first, batch }) => [
      {
        publishes: {
          first,
          publishes: batch.map(({ session, packetId, message }) => ({
            session,
            packetId,
            message: { ...plainMessage(message), publisher: undefined },
          })),
        },
      },
    ],
    ({ first, batch }) => [['publishes', asRead(first, batch)]],
  ),
  kind(
    'writes',
    fc.record({ number: u53, batch: fc.array(sessionWrite, { maxLength: 10 }) }),
    (exchange, { number, batch }) => upstream.writeWrites(exchange, number, batch),
    ({ number, batch }) => [{ writes: { number, writes: batch.map(plainWrite) } }],
    ({ number, batch }) => [['writes', number, batch]],
  ),
  kind(
    'credit',
    fc.record({ session, messagesTotal: u53 }),
    (exchange, value) => upstream.writeCredit(exchange, value.session, value.messagesTotal),
    (value) => [{ credit: value }],
    (value) => [['credit', value.session, value.messagesTotal]],
  ),
  kind(
    'call',
    fc.record({ id: u32, method: u32, body: values.bytes }),
    (exchange, { id, method, body }) => upstream.writeCall(exchange, 'control', id, method, body),
    (value) => [{ call: value }],
    ({ id, method, body }) => [['call', id, method, body]],
  ),
  kind(
    'read',
    fc.record({ id: u32, request: readRequest }),
    (exchange, { id, request }) => upstream.writeRead(exchange, id, request),
    ({ id, request }) => [{ read: { id, ...request, ...plainFrom(request) } }],
    ({ id, request }) => [['read', id, request]],
  ),
  kind(
    'presents',
    fc.record({
      sessions: fc.array(values.presentedSession, { maxLength: 3 }),
      last: fc.boolean(),
    }),
    (exchange, { sessions, last }) => upstream.writePresents(exchange, sessions, last),
    ({ sessions, last }) => [
      { presents: { sessions: sessions.map((session) => presented.plainOf(session)), last } },
    ],
    ({ sessions, last }) => [['presents', sessions, last]],
  ),
];

// From ds

const reasonCode = fc.nat({ max: 255 });
const refusal = fc.record({ session, reasonCode });
const messages = fc.array(values.message, { maxLength: 5 });
const assignment: fc.Arbitrary<Assignment> = fc.record({
  session,
  group,
  filter: text,
  queue,
  partition: u32,
  offset: fc.oneof(fc.constant(-1), fc.nat({ max: 2 ** 31 - 1 }), fc.constant(2 ** 53 - 2)),
  message: values.message,
});
const positive = fc.integer({ min: 1, max: 2 ** 31 - 1 });
const ofOwner = fc.record({ epoch: positive, fence: positive });
const ownedAssignment: fc.Arbitrary<Assignment> = fc
  .tuple(assignment, ofOwner)
  .map(([one, owner]) => ({ ...one, ...owner }));
const queueEnd = fc.record({ queue, partition: u32, end: u53 });

/** Answers as they come: runs of numbers. */
const answers = fc.array(
  fc.record({
    skip: fc.integer({ min: 1, max: 1000 }),
    codes: fc.array(reasonCode, { minLength: 1, maxLength: 20 }),
  }),
  { maxLength: 5 },
);
type Answers = typeof answers extends fc.Arbitrary<infer T> ? T : never;

const anyMessage = fc.sample(values.message, { numRuns: 1, seed: 1 });

/** The batch for the writer; `run` is told of each part of it. */
function batchOf(parts: Answers, run: (first: number, codes: number[]) => void): NumberedPublish[] {
  const [message] = anyMessage;
  if (message === undefined) throw new Error('no message');
  let number = 0;
  return parts.flatMap((part) => {
    // One number is left out between two runs, or they would be one.
    const first = number + 1 + part.skip;
    number = first + part.codes.length - 1;
    run(first, part.codes);
    return part.codes.map((reasonCode, index) => ({
      ...{ session: sessionHandle(1), packetId: 1, message, reasonCode, number: first + index },
    }));
  });
}

export const downstreamKinds: readonly ItemKind[] = [
  kind(
    'published',
    answers,
    (exchange, parts) => {
      downstream.writePublished(
        exchange,
        'control',
        batchOf(parts, () => {}),
      );
    },
    (parts) => {
      const items: object[] = [];
      batchOf(parts, (first, codes) =>
        items.push({ published: { first, reasonCodes: Buffer.from(codes) } }),
      );
      return items;
    },
    (parts) => {
      const said: Said[] = [];
      batchOf(parts, (first, codes) => said.push(['published', first, codes]));
      return said;
    },
  ),
  kind(
    'pushes',
    fc.array(values.message, { minLength: 1, maxLength: 5 }),
    (exchange, batch) => downstream.writePushes(exchange, batch),
    (batch) => [{ pushes: { messages: batch.map(plainMessage) } }],
    (batch) => [['push', batch]],
  ),
  kind(
    'echoes',
    fc.uniqueArray(
      fc.record({
        number: fc.integer({ min: 1, max: 2 ** 40 }),
        entries: fc.array(values.entry, { minLength: 1, maxLength: 4 }),
        orderKey: values.orderKey,
        storedMs: fc.nat(),
      }),
      { selector: ({ number }) => number, minLength: 1, maxLength: 5 },
    ),
    (exchange, echoes) => {
      const batch = echoes.map(({ number, ...added }) => Object.assign(sentMessage(number), added));
      downstream.writePushes(exchange, batch, sentMessage, 0);
    },
    (echoes) => [
      {
        echoes: {
          echoes: echoes.map(({ number, entries, orderKey, storedMs }) => ({
            number,
            entries: plainMessage(Object.assign(sentMessage(number), { entries })).entries,
            orderKey,
            storedMs,
          })),
        },
      },
    ],
    (echoes) => {
      const kept = echoes.filter(({ number }) => isKept(number));
      const lost = echoes.filter(({ number }) => !isKept(number));
      const pushed = kept.map(({ number, ...added }) => Object.assign(sentMessage(number), added));
      const ends = lost.flatMap(({ entries }) =>
        entries.map(({ queue, partition, offset }) => ({ queue, partition, end: offset + 1 })),
      );
      return [
        ...(pushed.length > 0 ? [['push', pushed]] : []),
        ...(ends.length > 0 ? [['behind', ends]] : []),
      ];
    },
  ),
  kind(
    'assignments',
    fc.array(fc.oneof(assignment, ownedAssignment), { maxLength: 5 }),
    downstream.writeAssignments,
    (batch) => [
      {
        assignments: {
          assignments: batch.map(({ offset, message, ...rest }) => ({
            ...rest,
            offset_1: offset + 1,
            message: plainMessage(message),
          })),
        },
      },
    ],
    (batch) => [['assign', batch]],
  ),
  kind(
    'refusal of QoS 0',
    refusal,
    (exchange, { session, reasonCode }) => downstream.writeRefusal(exchange, session, reasonCode),
    (value) => [{ published: { refused: [value] } }],
    ({ session, reasonCode }) => [['refused', session, reasonCode]],
  ),
  kind(
    'fence',
    fc.record({ session, group, epoch: positive, number: positive }),
    downstream.writeFence,
    (fence) => [{ fence }],
    (fence) => [['fence', fence]],
  ),
  kind(
    'kick',
    refusal,
    (exchange, { session, reasonCode }) => downstream.writeKick(exchange, session, reasonCode),
    (value) => [{ kick: value }],
    ({ session, reasonCode }) => [['kick', session, reasonCode]],
  ),
  kind(
    'rights',
    fc.record({ session, rights: values.orAbsent(text) }),
    (exchange, { session, rights }) => downstream.writeRights(exchange, session, rights),
    (value) => [{ rights: value }],
    ({ session, rights }) => [['rights', session, rights]],
  ),
  kind(
    'queue ends',
    fc.array(queueEnd, { maxLength: 10 }),
    downstream.writeQueueEnds,
    (ends) => [{ queueEnds: { ends } }],
    (ends) => [['behind', ends]],
  ),
  kind(
    'durable',
    fc.record({ numbers: fc.array(u53), fenced: fc.array(u53) }),
    (exchange, { numbers, fenced }) => downstream.writeDurable(exchange, numbers, fenced),
    (value) => [{ durable: value }],
    ({ numbers, fenced }) => [['durable', numbers, fenced]],
  ),
  kind(
    'answer',
    fc.record({ id: u32, body: values.bytes }),
    (exchange, { id, body }) => downstream.writeAnswer(exchange, 'control', id, body),
    (value) => [{ answer: value }],
    ({ id, body }) => [['answer', id, body]],
  ),
  kind(
    'failure',
    fc.record({ id: u32, error: text }),
    (exchange, { id, error }) => downstream.writeFailure(exchange, id, error),
    ({ id, error }) => [{ answer: { id, error: error === '' ? 'failed' : error } }],
    ({ id, error }) => [['failed', id, error === '' ? 'failed' : error]],
  ),
  kind(
    'read answer',
    fc.record({ id: u32, messages, next: u53, end: u53 }),
    (exchange, { id, ...answer }) => downstream.writeReadAnswer(exchange, id, answer),
    ({ messages, ...rest }) => [{ readAnswer: { ...rest, messages: messages.map(plainMessage) } }],
    ({ id, ...answer }) => [['readAnswer', id, answer]],
  ),
  kind(
    'presented',
    fc.array(refusal, { maxLength: 10 }),
    downstream.writePresented,
    (refusals) => [{ presented: { refusals } }],
    (refusals) => [['presented', refusals]],
  ),
];
