// A message through a light queue of this cluster, as no setting of a broker can promise it.
import { systemClock } from '@lmqtt/common/clock';
import { pause } from '@lmqtt/common/pause';
import { rocket } from './message/property-names.ts';
import type { BrokerConnection } from './remoting/broker-connection.ts';
import { answerCodes } from './remoting/codes.ts';
import { propertyText, type SendAnswer } from './remoting/requests/send-message.ts';

type ProbeResult =
  /** `why`: as a sentence goes on; `mayPass`: another moment may bring another answer. */
  { readonly ok: true } | { readonly ok: false; readonly why: string; readonly mayPass: boolean };

const lookAgainMs = 20;
const busyAgainMs = 200;
/** No consumer of what devices publish asks for it. */
const probeTag = 'LMQTT_PROBE';
const probeGroup = '%LMQ%lmqtt';

/** Codes of a broker that may take the same request in another moment. */
export const passingCodes: ReadonlySet<number> = new Set([
  answerCodes.systemBusy,
  // The broker's disk is full.
  answerCodes.serviceNotAvailable,
]);

/** `topic`: one that the broker has. */
export async function probeLightQueue(
  broker: BrokerConnection,
  clusterId: string,
  topic: string,
  probeMs: number,
): Promise<ProbeResult> {
  const lmq = `%LMQ%##${clusterId}#probe`;
  const endMs = systemClock.monotonicMs() + probeMs;
  const before = await broker.maxOffset({ topic: lmq, queueId: 0 });
  for (;;) {
    const answer = await send(broker, lmq, topic);
    if (answer.kind === 'stored') break;
    const { why, mayPass } = notStored(answer);
    if (!mayPass || systemClock.monotonicMs() > endMs) return { ok: false, why, mayPass };
    await pause(busyAgainMs);
  }
  while (systemClock.monotonicMs() < endMs) {
    if (await canBeRead(broker, lmq, before)) return { ok: true };
    await pause(lookAgainMs);
  }
  const why = `stored, and not in its light queue after ${probeMs / 1000} s`;
  return { ok: false, why, mayPass: true };
}

function notStored(answer: Exclude<SendAnswer, { readonly kind: 'stored' }>): {
  readonly why: string;
  readonly mayPass: boolean;
} {
  if (answer.kind !== 'refused') return { why: `not stored: ${answer.reason}`, mayPass: true };
  const { code, remark } = answer;
  return { why: `refused with code ${code}: ${remark}`, mayPass: passingCodes.has(code) };
}

function send(broker: BrokerConnection, lmq: string, topic: string): Promise<SendAnswer> {
  const properties = propertyText([
    [rocket.tags, probeTag],
    [rocket.lmqNames, lmq],
  ]);
  const body = Buffer.from('probe');
  return new Promise((resolve) => {
    broker.send({ topic, queueId: 0, properties, body, bornMs: systemClock.nowMs() }, resolve);
  });
}

function canBeRead(broker: BrokerConnection, lmq: string, offset: number): Promise<boolean> {
  const request = { group: probeGroup, topic: lmq, queueId: 0, offset, messagesMax: 1 };
  return new Promise((resolve) => {
    broker.pull({ ...request, suspendMs: 0, subscription: '*' }, ({ kind }) => {
      resolve(kind === 'found');
    });
  });
}
