import type { ClientId, NodeId } from '@lmqtt/common/ids';
import type { Inbox } from '../../registry/inbox.ts';
import type { RedisConnection } from '../../redis/connection.ts';
import { list, text } from './fields.ts';
import type { SessionKeys } from './keys.ts';
import type { Held } from '../session-store.ts';

const pollMs = 300;

/** Waiting for connections at other ds to end: told by their ds, and looked at now and then. */
export class HeldSessions {
  readonly #redis: RedisConnection;
  readonly #keys: SessionKeys;
  readonly #ds: NodeId;
  readonly #inbox: Inbox;
  readonly #waiting = new Map<ClientId, Set<() => void>>();

  constructor(redis: RedisConnection, keys: SessionKeys, ds: NodeId, inbox: Inbox) {
    this.#redis = redis;
    this.#keys = keys;
    this.#ds = ds;
    this.#inbox = inbox;
    inbox.onMessage((_from, message) => {
      if (message.kind !== 'ended') return;
      for (const look of this.#waiting.get(message.clientId) ?? []) look();
    });
  }

  freed({ clientId, epoch }: Held, waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isFree: boolean): void => {
        clearTimeout(limit);
        clearInterval(poll);
        looks.delete(look);
        if (looks.size === 0 && this.#waiting.get(clientId) === looks) {
          this.#waiting.delete(clientId);
        }
        resolve(isFree);
      };
      const look = (): void => {
        this.#isFree(clientId, epoch).then(
          (isFree) => {
            if (isFree) end(true);
          },
          () => undefined,
        );
      };
      const limit = setTimeout(() => end(false), waitMs);
      const poll = setInterval(look, pollMs);
      const looks = this.#waiting.get(clientId) ?? new Set();
      looks.add(look);
      this.#waiting.set(clientId, looks);
      // The session may have ended since the claim.
      look();
    });
  }

  /** Tells the ds nodes that asked for it; `waiting` is as the store has it. */
  tell(clientId: ClientId, waiting: string): void {
    for (const ds of waiting.split(',')) {
      if (ds === '' || ds === this.#ds) continue;
      this.#inbox.send(ds as NodeId, { kind: 'ended', clientId });
    }
  }

  async #isFree(clientId: ClientId, epoch: number): Promise<boolean> {
    const head = list(await this.#redis.command('HMGET', this.#keys.session(clientId), 'E', 'C'));
    return text(head[0]) !== String(epoch) || text(head[1]) !== '1';
  }
}
