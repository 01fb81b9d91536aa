import type { Subscription } from './cursor.ts';
import type { OutboundSession } from './outbound-session.ts';
import { RetainedRun } from './retained-run.ts';

/** The retained messages that a session is owed: one subscription after the other. */
export class RetainedRuns {
  private readonly session: OutboundSession;
  private runs: RetainedRun[] = [];

  constructor(session: OutboundSession) {
    this.session = session;
  }

  /** From after a topic on. */
  add(subscription: Subscription, after: string): void {
    this.runs.push(new RetainedRun(this.session, subscription, after));
  }

  drop(subscription: Subscription): void {
    this.runs = this.runs.filter((run) => run.subscription !== subscription);
  }

  /** True when all is sent. */
  pump(): boolean {
    for (let run = this.runs[0]; run !== undefined; run = this.runs[0]) {
      if (!run.pump()) return false;
      this.runs.shift();
    }
    return true;
  }

  /** After which topic messages are owed; undefined: none are. */
  sentAfter(subscription: Subscription): string | undefined {
    // Subscribed again meanwhile, the last run has the longest way to go.
    return this.runs.findLast((run) => run.subscription === subscription)?.sentAfter;
  }
}
