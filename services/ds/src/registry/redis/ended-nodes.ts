import { nodeId } from '@lmqtt/common/ids';
import { failureOf, type Membership } from './membership.ts';
import type { EndedNode, NodeRole } from '../nodes.ts';
import { textOf } from './registry-reply.ts';
import { scripts } from './registry-scripts.ts';

/** Field of `unsettled`: id NUL join. */
interface Taken {
  readonly ended: EndedNode;
  /** Under which join of this ds. */
  readonly join: string;
}

/** Ends of nodes, as this ds is told them, and those that it is to settle. */
export class EndedNodes {
  readonly #member: Membership;
  readonly #listeners: ((ended: EndedNode) => void)[] = [];
  readonly #taken = new Map<string, Taken>();
  /** Number of the last end that was told. */
  since = 0;

  constructor(member: Membership) {
    this.#member = member;
  }

  onEnded(listener: (ended: EndedNode) => void): void {
    this.#listeners.push(listener);
  }

  /** Numbers and lines by turns; answers those that are new. */
  told(texts: readonly string[]): EndedNode[] {
    const ends: EndedNode[] = [];
    for (let at = 0; at + 1 < texts.length; at += 2) {
      const number = Number(texts[at]);
      if (number <= this.since) continue;
      this.since = number;
      const [role, id, instance, , left] = texts[at + 1]!.split('\0');
      if (role === 'ds' && id === this.#member.id) continue;
      ends.push({
        id: nodeId(id!),
        role: role as NodeRole,
        instance: instance!,
        left: left === '1',
      });
    }
    for (const ended of ends) {
      this.#member.events.nodeEnded(ended.role, ended.id, ended.left);
      for (const listener of this.#listeners) listener(ended);
    }
    return ends;
  }

  async take(): Promise<EndedNode[]> {
    const { join } = this.#member;
    const [, ...reply] = (await this.#member.call(scripts.takeEnded)).map(textOf);
    const fresh: EndedNode[] = [];
    for (let at = 0; at + 4 < reply.length; at += 5) {
      const [field, instance, left] = [reply[at]!, reply[at + 1]!, reply[at + 2]!];
      const judged = { atMs: Number(reply[at + 3]), leaseEndedAtMs: Number(reply[at + 4]) };
      if (this.#taken.get(field)?.join === join) continue;
      const id = nodeId(field.slice(0, field.lastIndexOf('\0')));
      const ended: EndedNode = { id, role: 'cs', instance, left: left === '1', judged };
      this.#taken.set(field, { ended, join });
      fresh.push(ended);
    }
    return fresh;
  }

  async settled({ id, instance }: EndedNode): Promise<void> {
    const { redis, base } = this.#member;
    for (const [field, { ended }] of this.#taken) {
      if (ended.id !== id || ended.instance !== instance) continue;
      try {
        await redis.command('HDEL', `${base}unsettled`, field);
      } catch (error) {
        throw failureOf(error);
      }
      this.#taken.delete(field);
    }
  }
}
