// Delayed messages whose time has come, on their way to the store: each lane for itself, so that one
// whose broker is away holds up no other.
import type { Message } from '@lmqtt/common/message';
import type { DelayedStore, DueMessage } from '../delayed-store/delayed-store.ts';
import type { DsEvents } from '../events.ts';
import { presenceLane } from './presence-topic.ts';

/** The publisher of the broker's own messages. */
interface OwnPublisher {
  publishOwn(
    message: Message,
    lane: string,
    accepted: () => void,
    answered: (reasonCode: number, final: boolean) => void,
    once?: DueMessage['sending'],
  ): void;
}

export interface DelayedDuePorts {
  readonly delayed: DelayedStore;
  readonly publisher: OwnPublisher;
  readonly events: DsEvents;
}

const messagesMax = 500;
/** Messages that are taken and not done with; more are taken when some of them are. */
const takenMax = 5000;

/** Messages of one topic and publisher, or of the events of one client. */
interface DueLane {
  /** All of one topic: the store promises no order of topics. */
  underWay: number;
  hasFailed: boolean;
  /** Behind those under way: they go when these are stored, or are given back with them. */
  held: DueMessage[];
}

export class DuePublishes {
  readonly #ports: DelayedDuePorts;
  readonly #lanes = new Map<string, DueLane>();
  /** Lanes of those that failed during a take, which may have left them out. */
  readonly #failedSince = new Set<string>();
  #taken = 0;

  constructor(ports: DelayedDuePorts) {
    this.#ports = ports;
  }

  /** Publishes what is due; from a timer, one call at a time. */
  async run(): Promise<void> {
    const { delayed } = this.#ports;
    for (;;) {
      const wanted = Math.min(messagesMax, takenMax - this.#taken);
      if (wanted <= 0) return;
      this.#failedSince.clear();
      const due = await delayed.takeDue(wanted);
      const lanes = new Set<string>();
      for (const one of due) {
        const name = laneOf(one.message);
        let lane = this.#lanes.get(name);
        if (lane === undefined)
          this.#lanes.set(name, (lane = { underWay: 0, hasFailed: false, held: [] }));
        if (this.#failedSince.has(name)) lane.hasFailed = true;
        lane.held.push(one);
        lanes.add(name);
      }
      this.#taken += due.length;
      for (const name of lanes) this.#pump(name, this.#lanes.get(name)!);
      if (due.length < wanted) return;
    }
  }

  #pump(name: string, lane: DueLane): void {
    if (lane.underWay > 0) return;
    const { held } = lane;
    if (lane.hasFailed) {
      lane.hasFailed = false;
      lane.held = [];
      for (const due of held) this.#failed(due);
    } else {
      const topic = held[0]?.message.topic;
      const end = held.findIndex(({ message }) => message.topic !== topic);
      const batch = end < 0 ? held : held.slice(0, end);
      lane.held = end < 0 ? [] : held.slice(end);
      lane.underWay = batch.length;
      for (const due of batch) this.#send(due, name, lane);
    }
    if (lane.underWay === 0) this.#lanes.delete(name);
  }

  #send(due: DueMessage, name: string, lane: DueLane): void {
    const { delayed, publisher, events } = this.#ports;
    const { message } = due;
    const accepted = (): void => delayed.sending(due);
    const answered = (reasonCode: number, final: boolean): void => {
      const failed = reasonCode >= 0x80;
      lane.underWay -= 1;
      if (failed && !final) {
        lane.hasFailed = true;
        this.#failedSince.add(name);
        this.#failed(due);
      } else {
        events.delayedPublished(message.topic, failed ? reasonCode : 0);
        void delayed
          .sent(due)
          .catch((error: unknown) => events.unexpected('delayed messages', error))
          .then(() => {
            this.#taken -= 1;
          });
      }
      this.#pump(name, lane);
    };
    publisher.publishOwn(message, name, accepted, answered, due.sending);
  }

  #failed(due: DueMessage): void {
    this.#ports.delayed.failed(due);
    this.#taken -= 1;
  }
}

/** As its publisher would: what it publishes to the topic keeps its order. */
function laneOf({ publisher, topic }: Message): string {
  return presenceLane(topic) ?? `${publisher}\0${topic}`;
}
