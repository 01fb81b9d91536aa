// Messages of back ends on their way to the topic of the cluster's own, each behind those of its
// MQTT topic: one under way for a topic, or a window of them where the broker stores the sends of
// one connection in their order. A send that was refused or lost holds its topic up until it is
// stored, or certain not to be; nothing is sent twice before that. Only a message that the broker
// refuses while later ones of its topic are under way may be stored behind them.
//
// After a failure nothing more is sent until all that is under way has been answered.
import type { StoredMessage } from '../../rocketmq/message/stored-message.ts';
import { pause } from '@lmqtt/common/pause';
import { own } from '../../rocketmq/message/property-names.ts';
import { bodyOf, propertiesOf } from '../../rocketmq/message/stored-properties.ts';
import type { SendAnswer } from '../../rocketmq/remoting/requests/send-message.ts';
import type { Broker } from './broker.ts';
import type { RocketmqStoreOptions, RocketmqStoreSettings } from './options.ts';
import type { QueueAt } from './ordinary-queue.ts';
import type { Outcomes } from './outcomes.ts';
import { refusalOf } from './refusal.ts';

/** Queue of the cluster's own topic that every broker has, whatever the number of its queues. */
export const dispatchQueueId = 0;
export const dispatchAgainMs = 200;

/** A message, and the LMQs that it has to be sent on to. */
export interface Missed {
  readonly stored: StoredMessage;
  readonly lmqNames: readonly string[];
  /** Retained: sent on to the place of its MQTT topic, too, for no queue. */
  readonly goesHome: boolean;
}

/** A message that is sent on under its key. */
export interface Dispatch extends Missed {
  readonly key: string;
  /** Offset from which on a first copy may be found; −1: there is none. */
  readonly again: number;
}

interface LanesOptions extends Pick<RocketmqStoreOptions, 'clock' | 'events'> {
  readonly settings: Pick<RocketmqStoreSettings, 'pipelineMax'>;
}

interface LanesPorts {
  readonly broker: Pick<Broker, 'pipelines' | 'connection' | 'name'>;
  readonly outcomes: Pick<Outcomes, 'seek'>;
  /** Stored where its MQTT topic has its place when it resolves. */
  readonly home: (dispatch: Dispatch) => Promise<void>;
  /** Done with: stored, or refused for good. */
  readonly done: (key: string) => void;
}

/** Messages that were given to the lanes at the same time. */
interface Batch {
  left: number;
  error: Error | undefined;
  readonly ended: () => void;
}

class Entry {
  readonly dispatch: Dispatch;
  readonly batch: Batch;
  /** Order of the sends of its lane. */
  sequence = 0;
  again: number;
  /** Lowest offset that its last send can have. */
  from = 0;
  isHome: boolean;
  isUnknown = false;
  /** Set for one that is sent again, before which nothing else of its lane is sent. */
  isRedone = false;

  constructor(dispatch: Dispatch, batch: Batch, again: number) {
    this.dispatch = dispatch;
    this.batch = batch;
    this.again = again;
    this.isHome = !dispatch.goesHome;
  }
}

/** Messages of one MQTT topic. */
class Lane {
  readonly topic: string;
  /** To be sent, in their order. */
  waiting: Entry[] = [];
  outstanding = 0;
  sent = 0;
  /** Refused or lost. */
  undone: Entry[] = [];
  /** Messages of it that are to be sent again. */
  redone = 0;
  /** Something other than an answer to a send is awaited. */
  isHeld = false;

  constructor(topic: string) {
    this.topic = topic;
  }

  get isEmpty(): boolean {
    return this.waiting.length + this.outstanding + this.undone.length === 0 && !this.isHeld;
  }
}

export class DispatchLanes {
  readonly #options: LanesOptions;
  readonly #ports: LanesPorts;
  readonly #lanes = new Map<string, Lane>();
  /** By key: offsets of first copies that were believed not to be stored. */
  readonly #firsts = new Map<string, number>();
  #place: QueueAt | undefined;
  /** Lower bound of the offsets of messages that the broker stores there from now on. */
  #from = 0;
  #error: Error | undefined;
  #deniedBy = '';

  constructor(options: LanesOptions, ports: LanesPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** `from`: lower bound of the offsets of messages that the broker stores there from now on. */
  found(place: QueueAt, from: number): void {
    this.#place = place;
    this.#from = from;
  }

  /** Why the broker does not take messages; only what goes home is sent then. */
  denied(reason: string): void {
    this.#deniedBy = reason;
  }

  /**
   * All of them are done with when this resolves; where it rejects, none of them is under way. The
   * order is that of the calls.
   */
  add(dispatches: readonly Dispatch[]): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (dispatches.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const ended = (): void => (batch.error === undefined ? resolve() : reject(batch.error));
      const batch: Batch = { left: dispatches.length, error: undefined, ended };
      const lanes = new Set<Lane>();
      for (const dispatch of dispatches) {
        const { topic } = dispatch.stored.message;
        let lane = this.#lanes.get(topic);
        if (lane === undefined) this.#lanes.set(topic, (lane = new Lane(topic)));
        const again = this.#firsts.get(dispatch.key) ?? dispatch.again;
        lane.waiting.push(new Entry(dispatch, batch, again));
        lanes.add(lane);
      }
      for (const lane of lanes) this.#pump(lane);
    });
  }

  /** Nothing more is sent until `resume`. */
  fail(error: Error): void {
    this.#error ??= error;
    for (const lane of [...this.#lanes.values()]) this.#pump(lane);
  }

  /** When nothing is under way any more. */
  resume(): void {
    this.#error = undefined;
  }

  /** A message that a tail meets again after it went back counts as another one. */
  forget(): void {
    this.#firsts.clear();
  }

  #pump(lane: Lane): void {
    while (!lane.isHeld && lane.undone.length === 0) {
      const [entry] = lane.waiting;
      if (entry === undefined) break;
      if (this.#error !== undefined) {
        lane.waiting.shift();
        this.#end(entry, this.#error);
        continue;
      }
      if (!entry.isHome) {
        if (lane.outstanding === 0) void this.#goHome(lane, entry);
        break;
      }
      if (lane.outstanding > 0 && !this.#mayPipeline(lane)) break;
      lane.waiting.shift();
      this.#send(lane, entry);
    }
    if (lane.isEmpty && this.#lanes.get(lane.topic) === lane) this.#lanes.delete(lane.topic);
  }

  #mayPipeline(lane: Lane): boolean {
    if (!this.#ports.broker.pipelines || lane.redone > 0) return false;
    return lane.outstanding < this.#options.settings.pipelineMax;
  }

  /** Before what tells a ds that takes the tail over that both are done. */
  async #goHome(lane: Lane, entry: Entry): Promise<void> {
    lane.isHeld = true;
    try {
      await this.#ports.home(entry.dispatch);
      entry.isHome = true;
    } catch (error) {
      this.#error ??= error as Error;
    }
    lane.isHeld = false;
    if (this.#error === undefined) this.#pump(lane);
    else this.fail(this.#error);
  }

  #send(lane: Lane, entry: Entry): void {
    const { stored, lmqNames, key } = entry.dispatch;
    const { events, clock } = this.#options;
    const { message } = stored;
    if (lmqNames.length === 0) {
      this.#end(entry);
      return;
    }
    const { connection, name } = this.#ports.broker;
    const place = this.#place;
    if (place === undefined) {
      this.#leave(lane, entry, this.#deniedBy);
      return;
    }
    const nowMs = clock.nowMs();
    const more = entry.again < 0 ? [] : [[own.again, `${entry.again}`] as const];
    const properties = propertiesOf(message, lmqNames, { key, nowMs, more });
    if (properties === undefined) {
      this.#leave(lane, entry, 'more than 32,767 bytes of properties');
      return;
    }
    if (connection === undefined) {
      const error = new Error(`${name} is not there`);
      this.#end(entry, error);
      this.#error ??= error;
      return;
    }
    entry.from = this.#from;
    entry.sequence = lane.sent += 1;
    lane.outstanding += 1;
    const { topic } = place;
    const body = bodyOf(message);
    connection.send(
      { topic, queueId: dispatchQueueId, properties, body, bornMs: nowMs },
      (answer) => {
        lane.outstanding -= 1;
        if (answer.kind === 'stored') {
          this.#from = Math.max(this.#from, answer.queueOffset + 1);
          events.dispatched('stored');
          this.#finish(lane, entry);
        } else this.#notStored(lane, entry, answer);
        if (lane.undone.length === 0) this.#pump(lane);
        else if (lane.outstanding === 0 && !lane.isHeld) void this.#recover(lane, place);
      },
    );
  }

  #notStored(lane: Lane, entry: Entry, answer: Exclude<SendAnswer, { kind: 'stored' }>): void {
    if (answer.kind === 'refused' && refusalOf(answer.code, answer.remark).isFinal) {
      this.#leave(lane, entry, `code ${answer.code}: ${answer.remark}`);
      return;
    }
    entry.isUnknown = answer.kind === 'unknown';
    lane.undone.push(entry);
  }

  /** Messages that are not stored are sent again, in their order and one at a time. */
  async #recover(lane: Lane, queue: QueueAt): Promise<void> {
    lane.isHeld = true;
    const undone = lane.undone.toSorted((a, b) => a.sequence - b.sequence);
    const found = await Promise.all(
      undone.map(({ isUnknown, from, dispatch: { key } }) =>
        isUnknown ? this.#ports.outcomes.seek({ key, queue, from }) : Promise.resolve(-1),
      ),
    );
    lane.redone = 0;
    const again: Entry[] = [];
    for (const [index, entry] of undone.entries()) {
      const offset = found[index];
      if (offset !== undefined && offset >= 0) this.#finish(lane, entry);
      else {
        if (offset === undefined) this.#error ??= new Error('stopping');
        if (entry.isUnknown) {
          entry.again = entry.from;
          this.#firsts.set(entry.dispatch.key, entry.from);
        }
        entry.isUnknown = false;
        entry.isRedone = true;
        again.push(entry);
      }
    }
    lane.redone = again.length;
    lane.undone = [];
    lane.waiting = [...again, ...lane.waiting];
    if (again.length > 0 && this.#error === undefined) await pause(dispatchAgainMs);
    lane.isHeld = false;
    if (this.#error === undefined) this.#pump(lane);
    else this.fail(this.#error);
  }

  /** Not stored, and nothing waits for that. */
  #leave(lane: Lane, entry: Entry, reason: string): void {
    this.#options.events.notDispatched(entry.dispatch.stored.message.topic, reason);
    this.#finish(lane, entry);
  }

  #finish(lane: Lane, entry: Entry): void {
    if (entry.isRedone) lane.redone = Math.max(0, lane.redone - 1);
    this.#end(entry);
  }

  #end({ dispatch, batch }: Entry, error?: Error): void {
    if (error === undefined) {
      this.#firsts.delete(dispatch.key);
      this.#ports.done(dispatch.key);
    } else batch.error ??= error;
    batch.left -= 1;
    if (batch.left === 0) batch.ended();
  }
}
