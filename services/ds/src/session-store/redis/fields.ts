// How a session is written in its Redis hash. The head's fields are capitals, which scripts read:
//
//     E epoch            M epoch of the claim that made it     H ds whose writes are taken
//     N node  I handle   C 1: connected                        X expiry, s
//     T expires at, ms   W number of the will                  Q ds nodes that wait for its end
//     V version of the last write            S when its claim was noted, ms
//     U user: `+` and its name, `-` anonymous; not there: of a version without users
//
// All others are opaque to scripts, with numbers in base 36:
//
//     s<filter>  QoS, flags, subscription identifier, queue, group, `-` or `+` and a topic: retained
//     c<filter>  cursors, as text
//     o<id>      QoS, r released or s sent, sequence, place, then NUL, filter
//                place: q queue partition offset | g … group | r placement offset NUL topic
//     i<id>      inbound, nothing more        j<id>  an intent, as JSON
import { cursorsOf } from '@lmqtt/common/cursor-text';
import { type ClientId, epoch, groupId, queueId } from '@lmqtt/common/ids';
import type { OutboundState, Place } from '@lmqtt/proto/session-state';
import type { Intent } from '../../queue-store/intents.ts';
import type { Reply } from '../../redis/connection.ts';
import { inPortions, portionMax } from '@lmqtt/common/in-portions';
import { type SessionUser, StoredSession, type StoredSubscription } from '../stored-session.ts';

const none = '-';
const nul = '\0';

function digits(number: number): string {
  return number.toString(36);
}

function number(text: string | undefined): number {
  return Number.parseInt(text ?? '', 36);
}

export function userText(user: SessionUser): string {
  return user === null ? none : `+${user}`;
}

function userOf(text: string | undefined): SessionUser | undefined {
  if (text === undefined) return undefined;
  return text === none ? null : text.slice(1);
}

export function subscriptionText({
  options,
  queue,
  group,
  retainedAfter,
}: StoredSubscription): string {
  const { qos, noLocal, retainAsPublished, retainHandling, subscriptionIdentifier } = options;
  const flags = (noLocal ? 1 : 0) | (retainAsPublished ? 2 : 0) | (retainHandling << 2);
  const identifier = subscriptionIdentifier === undefined ? none : digits(subscriptionIdentifier);
  const groupText = group === undefined ? none : digits(group);
  const retained = retainedAfter === undefined ? none : `+${retainedAfter}`;
  return `${qos} ${digits(flags)} ${identifier} ${digits(queue)} ${groupText} ${retained}`;
}

export function subscriptionOf(filter: string, text: string): StoredSubscription {
  const [qosText, flagsText, identifier, queue, group] = text.split(' ', 5);
  const retained = text.split(' ').slice(5).join(' ');
  const flags = number(flagsText);
  const retainHandling = flags >> 2;
  const qos = Number(qosText);
  return {
    filter,
    options: {
      qos: qos === 2 ? 2 : qos === 1 ? 1 : 0,
      noLocal: (flags & 1) !== 0,
      retainAsPublished: (flags & 2) !== 0,
      retainHandling: retainHandling === 2 ? 2 : retainHandling === 1 ? 1 : 0,
      subscriptionIdentifier: identifier === none ? undefined : number(identifier),
    },
    group: group === none ? undefined : groupId(number(group)),
    queue: queueId(number(queue)),
    cursors: [],
    retainedAfter: retained === none ? undefined : retained.slice(1),
    live: false,
  };
}

export function outboundText({ qos, state, sequence, place, filter }: OutboundState): string {
  const step = state === 'released' ? 'r' : 's';
  return `${qos} ${step} ${digits(sequence)} ${placeText(place)}${nul}${filter}`;
}

function placeText(place: Place): string {
  if (place.kind === 'retained') {
    const { placement, offset } = place.orderKey;
    return `r ${digits(placement)} ${digits(offset)}${nul}${place.topic}`;
  }
  const { queue, partition, offset } = place;
  const text = `${digits(queue)} ${digits(partition)} ${digits(offset)}`;
  return place.kind === 'queue' ? `q ${text}` : `g ${text} ${digits(place.group)}`;
}

export function outboundOf(packetId: number, text: string): OutboundState {
  const [head = '', second = '', third] = text.split(nul);
  const [qosText, step, sequence, kind, a, b, c, d] = head.split(' ');
  const qos = qosText === '2' ? 2 : 1;
  const state = step === 'r' ? 'released' : 'sent';
  const common = { packetId, qos, state, sequence: number(sequence) } as const;
  if (kind === 'r') {
    const orderKey = { placement: number(a), offset: number(b) };
    return { ...common, place: { kind: 'retained', topic: second, orderKey }, filter: third ?? '' };
  }
  const at = { queue: queueId(number(a)), partition: number(b), offset: number(c) };
  const place: Place =
    kind === 'g' ? { kind: 'group', ...at, group: groupId(number(d)) } : { kind: 'queue', ...at };
  return { ...common, place, filter: second };
}

export function intentText({ key, place, from }: Intent): string {
  return JSON.stringify([key, place.topic, place.broker, place.queueId, from]);
}

function intentOf(session: StoredSession, packetId: number, text: string): Intent {
  const [key, topic, broker, queueIndex, from] = JSON.parse(text) as [
    string,
    string,
    string,
    number,
    number,
  ];
  const { clientId, epoch: at } = session;
  return {
    clientId,
    epoch: at,
    packetId,
    key,
    place: { topic, broker, queueId: queueIndex },
    from,
  };
}

/** Text of a script's answer. */
export function text(reply: Reply | undefined): string {
  if (reply === undefined || reply === null) return '';
  return typeof reply === 'string' ? reply : String(reply);
}

export function list(reply: Reply | undefined): Reply[] {
  return Array.isArray(reply) ? reply : [];
}

/** Fields of a session by their names, from the answer of HGETALL. */
type Fields = ReadonlyMap<string, string>;

function fieldsOf(record: Reply[]): Fields {
  const fields = new Map<string, string>();
  for (let at = 0; at < record.length; at += 2) fields.set(text(record[at]), text(record[at + 1]));
  return fields;
}

/** Session from the answer of HGETALL; undefined: there is no such session. */
export function sessionOfRecord(clientId: ClientId, record: Reply[]): StoredSession | undefined {
  const fields = fieldsOf(record);
  const session = sessionOfHead(clientId, fields);
  if (session !== undefined)
    for (const [field, value] of fields) takeField(session, fields, field, value);
  return session;
}

/** The same, which goes over some turns of the event loop where the session has many fields. */
export function sessionOverTurns(
  clientId: ClientId,
  record: Reply[],
): StoredSession | undefined | Promise<StoredSession | undefined> {
  return record.length <= 2 * portionMax
    ? sessionOfRecord(clientId, record)
    : readOverTurns(clientId, fieldsOf(record));
}

async function readOverTurns(
  clientId: ClientId,
  fields: Fields,
): Promise<StoredSession | undefined> {
  const session = sessionOfHead(clientId, fields);
  if (session !== undefined)
    await inPortions([...fields], ([field, value]) => takeField(session, fields, field, value));
  return session;
}

/** A session without what it has in flight and subscribes to. */
function sessionOfHead(clientId: ClientId, fields: Fields): StoredSession | undefined {
  if (!fields.has('E')) return undefined;
  const madeEpoch = epoch(Number(fields.get('M')));
  // The number of a session is of use to stores that name sessions by it.
  const session = new StoredSession(0, clientId, madeEpoch, Number(fields.get('X')));
  session.epoch = epoch(Number(fields.get('E')));
  session.user = userOf(fields.get('U'));
  session.connected = fields.get('C') === '1';
  session.expiresAtMs = Number(fields.get('T') ?? 0);
  session.will = Number(fields.get('W') ?? 0);
  session.stored = true;
  return session;
}

function takeField(session: StoredSession, fields: Fields, field: string, value: string): void {
  const name = field.slice(1);
  switch (field[0]) {
    case 's': {
      const subscription = subscriptionOf(name, value);
      subscription.cursors.push(...cursorsOf(fields.get(`c${name}`) ?? ''));
      session.putSubscription(subscription);
      break;
    }
    case 'o':
      session.putOutbound(outboundOf(Number(name), value));
      break;
    case 'i':
      session.addInbound(Number(name));
      break;
    case 'j':
      session.intents = [...session.intents, intentOf(session, Number(name), value)];
      break;
    default:
      break;
  }
}
