import { nodeId, type QueueId, queueId, type QueueName, queueName } from '@lmqtt/common/ids';
import type { Reply } from '../../redis/connection.ts';
import type { Membership } from './membership.ts';
import { listOf, textOf } from './registry-reply.ts';
import type { ClusterRouteChange } from '../route-log.ts';

const pageSize = 1000;

/**
 * All routes, read in pages while others change them. What is read is of different moments; the log
 * from before the first page, applied to it, makes it that of one: each change is of a set.
 */
export class RouteSnapshot {
  readonly #queues = new Map<QueueId, { readonly name: QueueName; readonly place: string }>();
  readonly #interest = new Map<QueueId, Set<string>>();

  get queueCount(): number {
    return this.#queues.size;
  }

  async load({ redis, base }: Membership): Promise<void> {
    const pages = async (
      command: string,
      key: string,
      each: (page: string[]) => void,
    ): Promise<void> => {
      let cursor = '0';
      do {
        const reply: Reply = await redis.command(command, key, cursor, 'COUNT', pageSize);
        const [next, page] = listOf(reply);
        cursor = textOf(next);
        each(listOf(page).map(textOf));
      } while (cursor !== '0');
    };
    await pages('HSCAN', `${base}queues`, (page) => {
      for (let at = 0; at < page.length; at += 2) {
        const [name, place] = page[at + 1]!.split('\0');
        this.#open(queueId(Number(page[at])), queueName(name!), place!);
      }
    });
    const pairs = listOf(await redis.command('SMEMBERS', `${base}pairs`)).map(textOf);
    for (const pair of pairs) {
      const [cs, , ds] = pair.split('\0');
      await pages('SSCAN', `${base}i:${pair}`, (page) => {
        for (const queue of page) this.#interested(queueId(Number(queue)), `${cs}\0${ds}`);
      });
    }
  }

  apply(change: ClusterRouteChange): void {
    if (change.kind === 'reset') return;
    if (change.kind === 'open') {
      this.#open(change.queue, change.name, change.place);
    } else if (change.kind === 'close') {
      this.#queues.delete(change.queue);
      this.#interest.delete(change.queue);
    } else if (change.kind === 'interest') {
      this.#interested(change.queue, `${change.node}\0${change.ds}`);
    } else {
      this.#interest.get(change.queue)?.delete(`${change.node}\0${change.ds}`);
    }
  }

  *changes(): Iterable<ClusterRouteChange> {
    yield { kind: 'reset' };
    for (const [queue, { name, place }] of this.#queues) {
      yield { kind: 'open', queue, name, place };
      for (const pair of this.#interest.get(queue) ?? []) {
        const [cs, ds] = pair.split('\0');
        yield { kind: 'interest', queue, node: nodeId(cs!), ds: nodeId(ds!) };
      }
    }
  }

  #open(queue: QueueId, name: QueueName, place: string): void {
    this.#queues.set(queue, { name, place });
  }

  #interested(queue: QueueId, pair: string): void {
    const known = this.#interest.get(queue);
    if (known === undefined) this.#interest.set(queue, new Set([pair]));
    else known.add(pair);
  }
}
