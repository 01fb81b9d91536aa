// Messages that a topic leaves at a broker when it moves to another one. Brokers index what they store a
// little later, each in its own time, so that a message at the new place might be read before one
// that was stored at the old place. The first message of each lane at the new place waits for a mark
// at the old broker, which all lanes share that wait for it. A broker that is away, or slow, is not
// waited for: what is there cannot be read now.
import { nextTurn } from '@lmqtt/common/pause';
import type { Broker } from './broker.ts';
import { BrokerMark } from './broker-mark.ts';
import type { SendLane } from './lane.ts';
import type { RocketmqStoreOptions } from './options.ts';
import type { OrdinaryQueue, Target } from './ordinary-queue.ts';

const waitMs = 5000;
/** Number of publishers of one topic past which none waits any more. */
const lanesMax = 1000;

interface Marking {
  readonly mark: BrokerMark;
  waiting: (() => void)[];
  isRunning: boolean;
}

export class LeftQueues {
  readonly #options: RocketmqStoreOptions;
  readonly #goOn: (lane: SendLane) => void;
  readonly #markings = new Map<Broker, Marking>();

  constructor(options: RocketmqStoreOptions, goOn: (lane: SendLane) => void) {
    this.#options = options;
    this.#goOn = goOn;
  }

  /** Whether the lane is held: it goes on when what it has left at another broker is indexed. */
  holds(lane: SendLane, target: Target): boolean {
    const { left } = target;
    if (left === undefined || lane.queue === target.queue || left.lanes.has(lane.name))
      return false;
    const isOver = this.#options.clock.nowMs() >= left.untilMs || left.lanes.size >= lanesMax;
    if (isOver) target.left = undefined;
    // It may be back at any time.
    if (isOver || left.queue.broker.connection?.up !== true) return false;
    lane.held = true;
    this.#mark(left.queue, () => {
      left.lanes.add(lane.name);
      lane.held = false;
      this.#goOn(lane);
    });
    return true;
  }

  #mark(queue: OrdinaryQueue, done: () => void): void {
    const { clock, events } = this.#options;
    const { broker } = queue;
    let marking = this.#markings.get(broker);
    if (marking === undefined) {
      const mark = new BrokerMark(broker, clock, events);
      marking = { mark, waiting: [], isRunning: false };
      this.#markings.set(broker, marking);
    }
    marking.waiting.push(done);
    if (!marking.isRunning) void this.#run(marking, queue);
  }

  /** Marks, one after the other: whoever comes while one is under way waits for the next. */
  async #run(marking: Marking, queue: OrdinaryQueue): Promise<void> {
    marking.isRunning = true;
    // Requests of one turn go together.
    await nextTurn();
    while (marking.waiting.length > 0) {
      const { waiting } = marking;
      marking.waiting = [];
      await within(waitMs, marking.mark.make(queue));
      for (const done of waiting) done();
    }
    marking.isRunning = false;
  }
}

/** Resolves when the work is over or the time is, whatever comes of it. */
function within(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    work
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        resolve();
      });
  });
}
