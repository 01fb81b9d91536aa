import type { QueueId } from '@lmqtt/common/ids';
import type { Message, OrderKey } from '@lmqtt/common/message';
import type { Append, InboundId, Once } from '../queue-store/queue-store.ts';
import type { Answer } from '../sessions/answer.ts';
import type { Settling } from '../sessions/settling.ts';

const noQueues: readonly QueueId[] = [];

/** A publish on its way through the store. */
export class PendingAppend implements Append {
  readonly message: Message;
  readonly queues: readonly QueueId[];
  readonly lane: string;
  readonly inbound: InboundId | undefined;
  user: string | undefined = undefined;
  reasonCode = 0;
  orderKey: OrderKey | undefined = undefined;
  /** undefined: nobody waits for the answer (QoS 0). */
  readonly answer: Answer | undefined;
  /** The retained message was put, in the commit of the append. */
  retained = false;
  /** The same QoS 2 publish, sent again before this one was stored: they share the answer. */
  repeats: Answer[] | undefined = undefined;
  /** The same of a later connection, which goes to the store itself if this one may not. */
  onAnswered: ((reasonCode: number) => void) | undefined = undefined;
  /** Entry of a retained message that nobody waits for: PINGRESP does. */
  settling: Settling | undefined = undefined;
  /** Set for a will: its key at the store. */
  once: Once | undefined = undefined;
  final = false;

  constructor(
    message: Message,
    queues: readonly QueueId[],
    lane: string,
    inbound: InboundId | undefined,
    answer: Answer | undefined,
  ) {
    this.message = message;
    this.queues = queues;
    this.lane = lane;
    this.inbound = inbound;
    this.answer = answer;
  }
}

/** QoS 0 that has gone to whoever is there: stored for those who read the store itself. */
export function passedOn(message: Message, lane: string): PendingAppend {
  return new PendingAppend(message, noQueues, lane, undefined, undefined);
}
