import type { ClientId } from '@lmqtt/common/ids';
import { Message } from '@lmqtt/common/message';
import type { Clock } from '@lmqtt/common/clock';
import type { AccessControl, Principal } from './auth/auth-provider.ts';
import { endSession, type DisconnectPorts } from './disconnect.ts';
import type { Publisher } from './publish.ts';
import type { DueStore, DueWill, SessionStore } from './session-store/session-store.ts';

export interface DuePorts extends DisconnectPorts {
  readonly sessionStore: SessionStore & DueStore;
  readonly access: AccessControl;
  readonly publisher: Publisher;
  readonly clock: Clock;
}

const itemsMax = 500;

/** Sessions that have expired and wills whose time has come; from a timer. */
export async function workDue(ports: DuePorts): Promise<void> {
  for (;;) {
    const due = await ports.sessionStore.takeDue(itemsMax);
    const sending: Promise<void>[] = [];
    for (const one of due) {
      if (one.kind === 'expired') {
        endSession(ports, one.session);
        ports.events.expired(one.session.clientId);
      } else sending.push(sendWill(ports, one));
    }
    await Promise.all(sending);
    if (due.length < itemsMax) return;
  }
}

/** Who left a will, as it is stored with it. */
export interface WillOwner {
  readonly principal: Principal;
  readonly address: string;
}

/** A publish by the one who left it: gone from the store with the commit that sends it. */
function sendWill(ports: DuePorts, due: DueWill): Promise<void> {
  const { clientId, will } = due.will;
  const { topic } = will.message;
  const { principal, address } = due.will.principal as WillOwner;
  const { sessionStore, events } = ports;
  const allowed =
    !topic.startsWith('$SYS/') &&
    ports.access.authorise(principal, clientId, address, 'publish', topic);
  if (!allowed) {
    events.willNotSent(clientId, topic, 0x87);
    sessionStore.willSent(due);
    return Promise.resolve();
  }
  const message = ofNow(will.message, will.messageExpiryS, clientId, ports.clock.nowMs());
  return new Promise((resolve) => {
    const accepted = (): void => sessionStore.willSending(due);
    const answered = (reasonCode: number): void => {
      if (reasonCode >= 0x80) {
        // It stays in the store and is taken again at the next start, or when that has recovered.
        events.willNotSent(clientId, topic, reasonCode);
        sessionStore.willDelayed(due);
      } else {
        sessionStore.willSent(due);
        events.willSent(clientId, topic);
      }
      resolve();
    };
    const lane = `${clientId}\0${topic}`;
    ports.publisher.publishOwn(message, lane, accepted, answered, due.sending);
  });
}

/** Its expiry counts from the moment it is sent [MQTT-3.1.3.2.4]. */
function ofNow(
  will: Message,
  expiryS: number | undefined,
  clientId: ClientId,
  nowMs: number,
): Message {
  return new Message(
    will.topic,
    will.qos,
    will.retain,
    will.buffer,
    will.topicStart,
    will.payloadStart,
    will.payloadEnd,
    will.properties,
    expiryS === undefined ? 0 : nowMs + expiryS * 1000,
    clientId,
  );
}
