import { pause } from '@lmqtt/common/pause';
import type { Clock } from '@lmqtt/common/clock';
import type { ClientId } from '@lmqtt/common/ids';
import { Message } from '@lmqtt/common/message';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { isBridgeState } from '@lmqtt/common/topic';
import type { AccessControl, Principal } from '../auth/auth-provider.ts';
import type { DsEvents } from '../events.ts';
import type { Publisher } from './publish.ts';
import type { DueStore, DueWill, TakenWills } from '../session-store/session-store.ts';

interface WillsPorts {
  readonly sessionStore: DueStore;
  readonly access: AccessControl;
  readonly publisher: Publisher;
  readonly events: DsEvents;
  readonly clock: Clock;
}

/** The client that left a will, as stored with the will. */
interface WillOwner {
  readonly principal: Principal;
  readonly address: string;
}

/** Time between two checks of a will that another ds is sending. */
const busyAgainMs = 50;

/**
 * Wills that are due, on their way to the queue store: at the end of a connection in the same turn,
 * by a CONNECT before its CONNACK, otherwise from the timer of due times. A will that could not be
 * stored stays due, so that the client's next CONNECT waits for it.
 */
export class Wills {
  readonly #ports: WillsPorts;
  /**
   * Wills of each client that are being sent. A promise resolves with true where its will is no
   * more.
   */
  readonly #sending = new Map<ClientId, Set<Promise<boolean>>>();

  constructor(ports: WillsPorts) {
    this.#ports = ports;
  }

  /**
   * Whether somebody may leave a will for the topic: whoever may publish to it. A bridge leaves one
   * for its state whether or not that is wanted: it is dropped when it is due.
   */
  admits(principal: Principal, clientId: ClientId, address: string, topic: string): boolean {
    if (isBridgeState(topic)) return true;
    return this.#ports.access.authorise(principal, clientId, address, 'publish', topic);
  }

  /** Called when a connection has ended. The timer sends wills that fail now. */
  fire(clientId: ClientId): void {
    try {
      const taken = this.#ports.sessionStore.takeWills(clientId);
      if (!(taken instanceof Promise)) this.#sendAll(taken);
      else taken.then((late) => this.#sendAll(late)).catch(() => undefined);
    } catch (error) {
      this.#ports.events.unexpected('wills', error);
    }
  }

  /**
   * The client's wills that are due are stored, whoever sends them. False: one cannot be stored, or
   * not within the time.
   */
  async flushed(clientId: ClientId, waitMs: number): Promise<boolean> {
    const { clock, sessionStore } = this.#ports;
    const untilMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const leftMs = untilMs - clock.monotonicMs();
      const work = async (): Promise<boolean | 'busy'> => {
        const taken = await sessionStore.takeWills(clientId);
        this.#sendAll(taken);
        const sent = await Promise.all([...(this.#sending.get(clientId) ?? [])]);
        if (sent.includes(false)) return false;
        return taken.busy ? 'busy' : true;
      };
      const answer = await within(leftMs, work());
      if (answer !== 'busy') return answer === true;
      await pause(busyAgainMs);
    }
  }

  #sendAll({ wills }: TakenWills): void {
    for (const will of wills) void this.send(will);
  }

  /** Sends a will that was taken. False: the will could not be stored, and is due again. */
  send(due: DueWill): Promise<boolean> {
    const { clientId } = due.will;
    const sending = this.#tried(due).finally(() => {
      if (all.delete(sending) && all.size === 0) this.#sending.delete(clientId);
    });
    const all = this.#sending.get(clientId) ?? new Set();
    all.add(sending);
    this.#sending.set(clientId, all);
    return sending;
  }

  async #tried(due: DueWill): Promise<boolean> {
    try {
      return await this.#send(due);
    } catch (error) {
      this.#ports.events.unexpected('wills', error);
      this.#ports.sessionStore.willDelayed(due);
      return false;
    }
  }

  /**
   * Publishes the will for its client. The commit that sends the will also removes it from the
   * store.
   */
  #send(due: DueWill): Promise<boolean> {
    const { clientId, will } = due.will;
    const { topic } = will.message;
    const { principal, address } = due.will.principal as WillOwner;
    const { sessionStore, events, access, publisher, clock } = this.#ports;
    // The rules may have changed since the client's CONNECT.
    if (!access.authorise(principal, clientId, address, 'publish', topic)) {
      events.willNotSent(clientId, topic, ReasonCode.notAuthorized);
      sessionStore.willSent(due);
      return Promise.resolve(true);
    }
    const message = ofNow(will.message, will.messageExpiryS, clientId, clock.nowMs());
    return new Promise((resolve) => {
      const accepted = (): void => sessionStore.willSending(due);
      const answered = (reasonCode: number, final: boolean): void => {
        const failed = reasonCode >= 0x80;
        if (failed) events.willNotSent(clientId, topic, reasonCode);
        else events.willSent(clientId, topic);
        // The will stays in the store and is taken again at the next start, or when the queue store
        // has recovered.
        if (failed && !final) sessionStore.willDelayed(due);
        else sessionStore.willSent(due);
        resolve(!failed || final);
      };
      const lane = `${clientId}\0${topic}`;
      publisher.publishOwn(message, lane, accepted, answered, due.sending);
    });
  }
}

/** The result of the work; undefined: it took too long, or failed. */
function within<T>(waitMs: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), waitMs);
    work.then(resolve, () => resolve(undefined)).finally(() => clearTimeout(timer));
  });
}

/** The will as of now: message expiry counts from the moment of sending [MQTT-3.1.3.2.4]. */
function ofNow(
  will: Message,
  expiryS: number | undefined,
  clientId: ClientId,
  nowMs: number,
): Message {
  const message = new Message(
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
  if (expiryS !== undefined) message.expiryS = Math.max(1, expiryS);
  return message;
}
