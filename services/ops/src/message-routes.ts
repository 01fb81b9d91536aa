// Publishing by REST.
import { isUtf8 } from 'node:buffer';
import { operatorTopicTo } from '@lmqtt/common/p2p';
import { isValidTopicName } from '@lmqtt/common/topic';
import type { FastifyInstance } from 'fastify';

import { callerOf } from './callers.ts';
import { localOf, type OpsSource, type PublishRequest, type RemoteSource } from './ops-source.ts';
import { Problem } from './problem.ts';
import { count, flag, given, listOf, qos, record, text } from './schemas.ts';

const batchMax = 1000;
const bodyBytesMax = 16 * 1024 * 1024;
const expirySMax = 4_294_967_295;
/** Names that this broker reads, which a publish by REST does not offer. */
const ownNames = 'lmqtt-';

interface MessageBody {
  readonly topic?: string;
  readonly clientId?: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly payload?: string;
  readonly payloadJson?: unknown;
  readonly payloadBase64?: string;
  readonly expiryS?: number;
  readonly payloadFormatIndicator?: 0 | 1;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: string;
  readonly userProperties?: readonly { readonly name: string; readonly value: string }[];
}

/** Fits into the 65,535 bytes that MQTT has for it. */
const short = { type: 'string', maxLength: 16_383, pattern: '^[^\\u0000]*$' };
const base64 = { type: 'string', pattern: '^[A-Za-z0-9+/]*={0,2}$' };

const messageSchema = given({
  topic: text,
  clientId: {
    type: 'string',
    description:
      'Instead of a topic: the message is for this client alone, whatever it subscribes to (P2P)',
  },
  qos: { ...qos, default: 0 },
  retain: { ...flag, default: false },
  payload: { type: 'string', description: 'As text' },
  payloadJson: { description: 'As JSON' },
  payloadBase64: { ...base64, description: 'In base64' },
  expiryS: { type: 'integer', minimum: 1, maximum: expirySMax },
  payloadFormatIndicator: { type: 'integer', enum: [0, 1], description: '1: it is UTF-8' },
  contentType: short,
  responseTopic: short,
  correlationData: { ...base64, maxLength: 87_380, description: 'In base64' },
  userProperties: listOf(given({ name: short, value: short }, ['name', 'value'])),
});

const resultSchema = record({
  topic: text,
  reasonCode: { ...count, description: 'As in PUBACK (MQTT 5.0); 128 and more: refused' },
  reason: text,
  stored: {
    type: ['object', 'null'],
    description: 'Place in the store, in the order of the topic; null: not stored',
    required: ['placement', 'offset'],
    properties: { placement: count, offset: count },
  },
  filters: { ...listOf(text), description: 'Filters that match, those of shared groups too' },
  subscriptions: {
    ...count,
    description: 'Subscriptions that match; in a cluster of connected clients and shared groups',
  },
});

const reasons: Readonly<Record<number, string>> = {
  0x80: 'the message could not be stored',
  0x83: 'the message was not stored in time, or the store does not take it',
  0x87: 'the user of this token may not publish to this topic',
  0x88: 'the store cannot be reached',
  0x90: 'this topic cannot be published to',
  0x97: 'the message is past a limit',
  0x99: 'the store does not take this payload, or these properties',
};

const statuses: Readonly<Record<number, number>> = { 0x87: 403, 0x90: 400, 0x97: 422, 0x99: 422 };

function payloadOf({ payload, payloadJson, payloadBase64 }: MessageBody): Buffer {
  const forms = [payload, payloadJson, payloadBase64].filter((form) => form !== undefined);
  if (forms.length > 1)
    throw new Problem(400, 'one of payload, payloadJson and payloadBase64, not several');
  if (payloadBase64 !== undefined) return Buffer.from(payloadBase64, 'base64');
  return Buffer.from(payloadJson === undefined ? (payload ?? '') : JSON.stringify(payloadJson));
}

function messageOf(body: MessageBody): PublishRequest {
  const { clientId, qos: level, retain, contentType, responseTopic, correlationData } = body;
  if ((body.topic === undefined) === (clientId === undefined))
    throw new Problem(400, 'either topic or clientId is needed');
  if (clientId !== undefined && (clientId === '' || /[/+#]/.test(clientId)))
    throw new Problem(400, 'a client identifier with /, + or # cannot be addressed');
  const { payloadFormatIndicator, userProperties = [] } = body;
  if (userProperties.some(({ name }) => name.startsWith(ownNames)))
    throw new Problem(400, `user properties that begin with ${ownNames} are for MQTT clients`);
  if (responseTopic !== undefined && !isValidTopicName(responseTopic))
    throw new Problem(400, 'responseTopic must be a topic name');
  const payload = payloadOf(body);
  if (payloadFormatIndicator === 1 && !isUtf8(payload))
    throw new Problem(400, 'the payload is not UTF-8');
  return {
    topic: body.topic ?? operatorTopicTo(clientId ?? ''),
    ...{ qos: level, retain, payload, expiryS: body.expiryS ?? 0 },
    payloadFormatIndicator,
    ...{ contentType, responseTopic, userProperties },
    correlationData:
      correlationData === undefined ? undefined : Buffer.from(correlationData, 'base64'),
  };
}

export function addMessages(rest: FastifyInstance, from: OpsSource | RemoteSource): void {
  const source = localOf(from);
  const results = async (
    caller: ReturnType<typeof callerOf>,
    bodies: readonly MessageBody[],
  ): Promise<{ topic: string; reasonCode: number; reason: string }[]> => {
    const messages = bodies.map(messageOf);
    const published = await source().publish(caller, messages);
    return published.map((one, at) => ({
      topic: messages[at]!.topic,
      ...one,
      reason: reasons[one.reasonCode] ?? '',
    }));
  };
  const schema = {
    operationId: 'publish',
    summary: 'Publishes a message, as a client would',
    description: 'The access rules of the user of the token’s name count.',
    body: messageSchema,
    response: { 200: resultSchema },
  };
  const options = { schema, bodyLimit: bodyBytesMax };
  rest.post<{ Body: MessageBody }>('/publish', options, async (request) => {
    const [result] = await results(callerOf(request), [request.body]);
    const { reasonCode, reason } = result!;
    if (reasonCode >= 0x80) throw new Problem(statuses[reasonCode] ?? 503, reason);
    return result;
  });

  const batchSchema = {
    operationId: 'publishBatch',
    summary: 'Publishes messages, each with a result of its own',
    body: { type: 'array', minItems: 1, maxItems: batchMax, items: messageSchema },
    response: { 200: record({ results: listOf(resultSchema) }) },
  };
  const batch = { schema: batchSchema, bodyLimit: bodyBytesMax };
  rest.post<{ Body: MessageBody[] }>('/publish/batch', batch, async (request) => ({
    results: await results(callerOf(request), request.body),
  }));
}
