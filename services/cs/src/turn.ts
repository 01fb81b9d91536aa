import type { Message } from '@lmqtt/common/message';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { Publish, SessionWrite } from '@lmqtt/proto/link';
import type { OutboundSession } from './session/outbound-session.ts';

/** Bytes that leave at the end of the turn. */
export interface Flushed {
  flush(): void;
}

interface TurnTargets {
  publish(batch: Publish[]): void;
  write(batch: SessionWrite[], durable?: () => void): void;
  /** Parts of a batch that become durable one without the other, each with all of its sessions. */
  split(batch: SessionWrite[]): SessionWrite[][];
  /** Before writes leave: last chance to add to them. */
  beforeWrites(): void;
  /** Before bytes leave: last look at whether they may. */
  beforeOutput(): void;
  /** Everything was sent. */
  ended(): void;
}

interface Waiting {
  readonly session: SessionHandle;
  readonly stored: () => void;
}

/**
 * When a message goes to more clients, bytes leave meanwhile: the first clients are at work while
 * the others are served, and few write buffers are in use at once.
 */
const outputsMax = 64;

/**
 * Everything that one turn of the event loop gathers for others: publishes for ds, writes of
 * session state, sessions that may send, bytes for sockets. One call each at its end.
 */
export class Turn {
  readonly #targets: TurnTargets;
  #publishes: Publish[] = [];
  #writes: SessionWrite[] = [];
  #waiting: Waiting[] = [];
  #sessions: OutboundSession[] = [];
  #outputs: Flushed[] = [];
  #scheduled = false;
  /** Turns that have ended. */
  count = 0;
  readonly #run: () => void;

  constructor(targets: TurnTargets) {
    this.#targets = targets;
    this.#run = () => this.#end();
  }

  publish(publish: Publish): void {
    this.#publishes.push(publish);
    if (!this.#scheduled) this.begin();
  }

  write(write: SessionWrite): void {
    this.#writes.push(write);
    if (!this.#scheduled) this.begin();
  }

  writeDurably(write: SessionWrite, then: () => void): void {
    this.#writes.push(write);
    this.#waiting.push({ session: write.session, stored: then });
    if (!this.#scheduled) this.begin();
  }

  pump(session: OutboundSession): void {
    session.scheduled = true;
    this.#sessions.push(session);
    if (!this.#scheduled) this.begin();
  }

  output(output: Flushed): void {
    this.#outputs.push(output);
    if (!this.#scheduled) this.begin();
  }

  /** Makes sure that the end of the turn comes. */
  begin(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  /** Hands over what came so far; what is called on the link next comes after it. */
  flush(): void {
    if (this.#publishes.length > 0) {
      const batch = this.#publishes;
      this.#publishes = [];
      this.#targets.publish(batch);
    }
    this.#targets.beforeWrites();
    if (this.#writes.length === 0) return;
    const writes = this.#writes;
    const waiting = this.#waiting;
    this.#writes = [];
    if (waiting.length === 0) {
      this.#targets.write(writes);
      return;
    }
    this.#waiting = [];
    const parts = this.#targets.split(writes);
    if (parts.length === 1) this.#writeDurablyNow(writes, waiting);
    else {
      for (const part of parts) {
        const sessions = new Set(part.map(({ session }) => session));
        const own = waiting.filter(({ session }) => sessions.has(session));
        this.#writeDurablyNow(part, own);
      }
    }
  }

  #writeDurablyNow(writes: SessionWrite[], waiting: readonly Waiting[]): void {
    if (waiting.length === 0) {
      this.#targets.write(writes);
      return;
    }
    this.#targets.write(writes, () => {
      for (const { stored } of waiting) stored();
    });
  }

  #end(): void {
    this.#scheduled = false;
    this.count += 1;
    if (this.#publishes.length > 0) this.flush();
    while (this.#sessions.length > 0) {
      const sessions = this.#sessions;
      this.#sessions = [];
      for (const session of sessions) {
        session.pump();
        if (this.#outputs.length >= outputsMax) this.#flushOutputs();
      }
    }
    this.flush();
    this.#flushOutputs();
    this.#targets.ended();
  }

  #flushOutputs(): void {
    const outputs = this.#outputs;
    if (outputs.length === 0) return;
    this.#outputs = [];
    for (const output of outputs) {
      // A process may be stopped at any moment: each connection asks what time it is.
      this.#targets.beforeOutput();
      output.flush();
    }
  }
}

/** Numbers QoS 0 pushes, so that a session sees a message of many queues once. */
let lastMark = 0;

export function mark(message: Message): void {
  lastMark += 1;
  message.mark = lastMark;
}
