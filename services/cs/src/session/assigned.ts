import { lowerQos } from '@lmqtt/common/qos';
import type { Assignment, Place } from '@lmqtt/proto/link';
import type { OutboundSession } from './outbound-session.ts';

/** Messages that groups gave to this session and that did not go out yet; bounded by its credit. */
export class Assigned {
  private readonly session: OutboundSession;
  private waiting: Assignment[] = [];

  constructor(session: OutboundSession) {
    this.session = session;
  }

  get count(): number {
    return this.waiting.length;
  }

  push(assignment: Assignment): void {
    this.waiting.push(assignment);
  }

  pump(): void {
    const { session } = this;
    let index = 0;
    for (; index < this.waiting.length; index++) {
      const assignment = this.waiting[index];
      if (assignment === undefined || !session.outlet.writable) break;
      const subscription = session.subscriptions.get(assignment.filter);
      const { message, group, queue, partition, offset } = assignment;
      const qos = lowerQos(message.qos, subscription?.options.qos ?? 0);
      if (qos > 0 && !session.hasRoom) break;
      const retain = subscription?.options.retainAsPublished === true && message.retain;
      const sent = subscription !== undefined && !session.expired(message);
      if (sent && qos !== 0) {
        const place: Place = { kind: 'group', group, queue, partition, offset };
        const inflight = session.take(qos, place, offset, undefined);
        session.send(inflight, message, retain, subscription.identifiers, subscription.filter);
        continue;
      }
      if (sent) session.sendQos0(message, retain, subscription.identifiers);
      if (offset < 0) continue;
      const { handle } = session;
      session.node.journal.write({
        kind: 'assigned-done',
        session: handle,
        group,
        partition,
        offset,
      });
    }
    if (index > 0) {
      this.waiting = this.waiting.slice(index);
      session.node.credit(session);
    }
  }
}
