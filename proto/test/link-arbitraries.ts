// Random values of the link between cs and ds, with the awkward ones: empty and absent, zero and
// maxima, text of more than one byte a character, topics in and outside of their buffer.
import { positionSince } from '@lmqtt/common/cursor';
import { clientId, epoch, groupId, queueId, sessionHandle } from '@lmqtt/common/ids';
import type { Epoch, GroupId, QueueId, SessionHandle } from '@lmqtt/common/ids';
import { Message, messageOf } from '@lmqtt/common/message';
import type { OrderKey, QueueEntry } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import fc from 'fast-check';
import type {
  ConnectAnswer,
  ConnectionEnd,
  ConnectRequest,
  Peer,
  PresentedSession,
  ReauthenticateAnswer,
  RetainedAnswer,
  RetainedRequest,
  SubscribeAnswer,
  SubscribeEntry,
  Will,
} from '../src/link.ts';
import type {
  OutboundState,
  Place,
  Position,
  SessionState,
  SubscriptionOptions,
  SubscriptionState,
} from '../src/session-state.ts';
import type { UndeliveredMessage } from '../src/undelivered.ts';
import { undeliveredReasons } from '../src/undelivered.ts';

export const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }) },
  { weight: 1, arbitrary: fc.integer({ min: 40, max: 300 }).map((count) => 'té'.repeat(count)) },
  { weight: 1, arbitrary: fc.constantFrom('', 'a/b', '😀/\u{10ffff}', 'x'.repeat(127)) },
);
export const bytes: fc.Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 200, size: 'max' })
  .map((array) => Buffer.from(array));
export const u16: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xffff });
export const u32: fc.Arbitrary<number> = fc.oneof(
  fc.integer({ min: 0, max: 0xffff_ffff }),
  fc.constantFrom(0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
);
/** Below 2^53, around the places where an encoding changes. */
export const u53: fc.Arbitrary<number> = fc.oneof(
  fc.maxSafeNat(),
  fc.nat({ max: 1000 }),
  fc.constantFrom(0, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const positive = u53.map((number) => Math.max(1, number));
const packetId = fc.integer({ min: 1, max: 0xffff });

export function orAbsent<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

export const session: fc.Arbitrary<SessionHandle> = u53.map(sessionHandle);
export const queue: fc.Arbitrary<QueueId> = positive.map(queueId);
export const group: fc.Arbitrary<GroupId> = positive.map(groupId);
const claim: fc.Arbitrary<Epoch> = u53.map(epoch);
export const qos: fc.Arbitrary<Qos> = fc.constantFrom<Qos>(0, 1, 2);
const storedQos = fc.constantFrom<1 | 2>(1, 2);
export const orderKey: fc.Arbitrary<OrderKey> = fc.record({ placement: u53, offset: u53 });

export const entry: fc.Arbitrary<QueueEntry> = fc
  .tuple(queue, u32, fc.option(fc.tuple(u53, fc.nat({ max: 300 }))))
  .map(([queue, partition, place]) => {
    if (place === null) return { queue, partition, offset: -1, previous: -1 };
    const offset = Math.min(place[0], Number.MAX_SAFE_INTEGER - 1);
    return { queue, partition, offset, previous: Math.max(-1, offset - 1 - place[1]) };
  });

/** Layout of a message's bytes: apart, in one piece with a gap for the identifier, without it. */
type Layout = 'apart' | 'gap' | 'no gap';

function laidOut(layout: Layout, topic: string, payload: Buffer, rest: MessageRest): Message {
  if (layout === 'apart') return messageOf({ topic, payload, ...rest });
  const name = Buffer.from(topic);
  const gap = layout === 'gap' ? 2 : 0;
  const length = Buffer.alloc(2);
  length.writeUInt16BE(name.length);
  const buffer = Buffer.concat([Buffer.from('##'), length, name, Buffer.alloc(gap, 9), payload]);
  const { qos, retain, properties, expiresAtMs, publisher } = rest;
  const payloadStart = 4 + name.length + gap;
  const end = buffer.length;
  const message = new Message(
    ...([topic, qos, retain, buffer, 2, payloadStart, end] as const),
    ...([properties, expiresAtMs, publisher] as const),
  );
  message.expiryS = rest.expiryS;
  return message;
}

interface MessageRest {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: Buffer | undefined;
  readonly expiresAtMs: number;
  readonly expiryS: number;
  readonly publisher: string;
}

export const message: fc.Arbitrary<Message> = fc
  .record({
    layout: fc.constantFrom<Layout>('apart', 'gap', 'no gap'),
    topic: text,
    payload: fc.oneof(
      bytes,
      fc.nat({ max: 5000 }).map((length) => Buffer.alloc(length, 7)),
    ),
    rest: fc.record({
      qos,
      retain: fc.boolean(),
      properties: orAbsent(bytes.filter((properties) => properties.length > 0)),
      expiresAtMs: fc.oneof(fc.constant(0), u53),
      expiryS: fc.oneof(fc.constant(0), u32),
      publisher: text,
    }),
    entries: fc.array(entry, { maxLength: 4 }),
    orderKey: orAbsent(orderKey),
    storedMs: fc.oneof(fc.constant(0), u53),
  })
  .map(({ layout, topic, payload, rest, entries, orderKey, storedMs }) => {
    const message = laidOut(layout, topic, payload, rest);
    message.entries = entries;
    message.orderKey = orderKey;
    message.storedMs = storedMs;
    return message;
  });

/** Content of a message, wherever its bytes are. */
function contentOf(message: Message): object {
  const { topic, qos, retain, payload, properties, expiresAtMs, publisher } = message;
  const { entries, orderKey, expiryS, storedMs } = message;
  return {
    ...{ topic, qos, retain, payload, properties, expiresAtMs, publisher },
    ...{ entries: [...entries], orderKey, expiryS, storedMs },
  };
}

/** A value with its messages replaced by what they say, for comparing. */
export function comparable(value: unknown): unknown {
  if (value instanceof Message) return comparable(contentOf(value));
  if (Buffer.isBuffer(value)) return `bytes ${value.toString('hex')}`;
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, comparable(part)]));
}

const peer: fc.Arbitrary<Peer> = fc.record({
  address: text,
  port: u16,
  tls: fc.boolean(),
  certificateSubject: orAbsent(text),
  certificateUser: orAbsent(text),
  listener: orAbsent(text),
  authentication: orAbsent(text),
  mount: orAbsent(text),
});

const will: fc.Arbitrary<Will> = fc.record({
  message,
  delayS: u32,
  messageExpiryS: orAbsent(u32),
});

export const connectRequest: fc.Arbitrary<ConnectRequest> = fc.record({
  session,
  protocolVersion: fc.constantFrom(3, 4, 5),
  clientId: text.map(clientId),
  randomClientId: fc.boolean(),
  cleanStart: fc.boolean(),
  sessionExpiryS: u32,
  keepAliveS: u16,
  userName: orAbsent(text),
  password: orAbsent(bytes),
  authenticationMethod: orAbsent(text),
  authenticationData: orAbsent(bytes),
  will: orAbsent(will),
  peer,
});

const options: fc.Arbitrary<SubscriptionOptions> = fc.record({
  qos,
  noLocal: fc.boolean(),
  retainAsPublished: fc.boolean(),
  retainHandling: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  subscriptionIdentifier: orAbsent(u32),
});

/** In place of an offset. */
export const time: fc.Arbitrary<number> = positive.map(positionSince);

const position: fc.Arbitrary<Position> = fc.record({
  partition: u32,
  start: fc.oneof(u53, time),
  position: fc.oneof(u53, time),
  done: fc.array(u53, { maxLength: 20 }),
});

const subscription: fc.Arbitrary<SubscriptionState> = fc.record({
  filter: text,
  options,
  group: orAbsent(group),
  queue,
  positions: fc.array(position, { maxLength: 3 }),
  retainedAfter: orAbsent(text),
});

export const place: fc.Arbitrary<Place> = fc.oneof(
  fc.record({ kind: fc.constant('queue' as const), queue, partition: u32, offset: u53 }),
  fc.record({ kind: fc.constant('group' as const), group, queue, partition: u32, offset: u53 }),
  fc.record({ kind: fc.constant('retained' as const), topic: text, orderKey }),
);

const outbound: fc.Arbitrary<OutboundState> = fc.record({
  packetId,
  qos: storedQos,
  state: fc.constantFrom<'sent' | 'released'>('sent', 'released'),
  sequence: u53,
  place,
  filter: text,
});

const state: fc.Arbitrary<SessionState> = fc.record({
  subscriptions: fc.array(subscription, { maxLength: 5 }),
  outbound: fc.array(outbound, { maxLength: 5 }),
  inbound: fc.array(packetId, { maxLength: 5 }),
});

const end: fc.Arbitrary<ConnectionEnd> = fc.record({
  publishWill: fc.boolean(),
  sessionExpiryS: orAbsent(u32),
  reason: text,
  planned: fc.boolean(),
});

export const connectAnswer: fc.Arbitrary<ConnectAnswer> = fc.oneof(
  fc.record({ kind: fc.constant('continue' as const), authenticationData: orAbsent(bytes) }),
  fc.record({ kind: fc.constant('refused' as const), reasonCode: u16, reason: text }),
  fc.record({
    kind: fc.constant('accepted' as const),
    epoch: claim,
    sessionPresent: fc.boolean(),
    state,
    subscriptionsLeft: u32,
    sessionExpiryS: u32,
    principal: text,
    rights: orAbsent(text),
    packetBytesMax: orAbsent(u32),
    authenticationData: orAbsent(bytes),
  }),
);

export const reauthenticateAnswer: fc.Arbitrary<ReauthenticateAnswer> = fc.oneof(
  fc.record({ kind: fc.constant('continue' as const), authenticationData: orAbsent(bytes) }),
  fc.record({ kind: fc.constant('success' as const), authenticationData: orAbsent(bytes) }),
  fc.record({
    kind: fc.constant('refused' as const),
    reasonCode: fc.integer({ min: 0x80, max: 0xff }),
  }),
);

export interface AuthenticationStepValue {
  readonly session: SessionHandle;
  readonly authenticationData: Buffer | undefined;
  readonly start: boolean;
}

export const authenticationStep: fc.Arbitrary<AuthenticationStepValue> = fc.record({
  session,
  authenticationData: orAbsent(bytes),
  start: fc.boolean(),
});

export const disconnectRequest: fc.Arbitrary<{ session: SessionHandle; end: ConnectionEnd }> =
  fc.record({ session, end });

export const subscriptionsRequest: fc.Arbitrary<{
  readonly session: SessionHandle;
  readonly from: number;
}> = fc.record({ session, from: u32 });

export const subscriptions: fc.Arbitrary<SubscriptionState[]> = fc.array(subscription, {
  maxLength: 5,
});

export const subscribeRequest: fc.Arbitrary<{
  session: SessionHandle;
  subscriptions: SubscribeEntry[];
}> = fc.record({
  session,
  subscriptions: fc.array(fc.record({ filter: text, options }), { maxLength: 50, size: 'max' }),
});

export const subscribeAnswers: fc.Arbitrary<SubscribeAnswer[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('refused' as const), reasonCode: u16 }),
    fc.record({
      kind: fc.constant('granted' as const),
      subscription,
      retained: fc.boolean(),
      replacedAt: fc.array(fc.record({ partition: u32, offset: u53 }), { maxLength: 4 }),
    }),
  ),
  { maxLength: 30 },
);

export const unsubscribeRequest: fc.Arbitrary<{ session: SessionHandle; filters: string[] }> =
  fc.record({ session, filters: fc.array(text, { maxLength: 30 }) });

export const reasonCodes: fc.Arbitrary<number[]> = fc.array(fc.nat({ max: 255 }), {
  maxLength: 30,
});

export const undeliveredRequest: fc.Arbitrary<{
  session: SessionHandle;
  messages: readonly UndeliveredMessage[];
}> = fc.record({
  session,
  messages: fc.array(
    fc.record({
      reason: fc.constantFrom(...undeliveredReasons),
      reasonCode: u32,
      filter: text,
      queue,
      partition: u32,
      offset: u53,
      attempts: u32,
      firstMs: u53,
      lastMs: u53,
    }),
    { maxLength: 10 },
  ),
});

export const retainedRequest: fc.Arbitrary<RetainedRequest> = fc.record({
  session,
  filter: text,
  after: text,
  messagesMax: u32,
  bytesMax: u32,
  version: orAbsent(fc.record({ topic: text, orderKey })),
});

export const retainedAnswer: fc.Arbitrary<RetainedAnswer> = fc.record({
  messages: fc.array(message, { maxLength: 10 }),
  next: orAbsent(text),
  ends: fc.array(fc.record({ partition: u32, offset: u53 }), { maxLength: 4 }),
});

export const presentedSession: fc.Arbitrary<PresentedSession> = fc.record({
  session,
  clientId: text.map(clientId),
  epoch: claim,
  protocolVersion: fc.constantFrom(3, 4, 5),
  keepAliveS: u16,
  peer,
  principal: text,
  authenticationMethod: orAbsent(text),
  sessionExpiryS: u32,
  state,
  storing: fc.array(packetId, { maxLength: 5 }),
  end: orAbsent(end),
});
