import type { Cursor } from '@lmqtt/common/cursor';
import type { GroupId, NodeId, QueueId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Holdings } from '../../use-cases/holdings.ts';
import type { GroupOutlet, Queue, Routes } from '../../routing/routes.ts';
import type { SessionRights } from '../../use-cases/session-rights.ts';
import type { GroupStreams } from './group-streams.ts';
import { HomeGroup } from './home-group.ts';
import { messageText } from './messages.ts';
import type { OwnedGroup } from './owned-group.ts';

interface KnownGroupsPorts {
  readonly self: NodeId;
  readonly routes: Routes;
  readonly holdings: Pick<Holdings, 'addGroup' | 'removeGroup'>;
  readonly streams: GroupStreams;
  readonly rights: SessionRights;
  monotonicMs(): number;
  owned(id: GroupId): OwnedGroup | undefined;
  /** A message that is not stored: too many wait for the owner. */
  dropped(home: HomeGroup): void;
}

interface KnownGroup {
  readonly home: HomeGroup;
  /** Queue in the routes here; undefined: it is not known yet. */
  queue: Queue | undefined;
  readonly outlet: GroupOutlet;
  /** When its owner named it last. */
  heardMs: number;
}

/** A group of an owner that has not named it for so long is no more. */
const unheardMs = 20_000;
/** Messages that are not stored, on their way to an owner. */
const forwardedMax = 1000;
const hintMs = 5;

/**
 * The groups that this ds has heard of, as routes here have them: its own, those of its members and
 * those of other owners, which are told of what is published or arrives here.
 */
export class KnownGroups {
  readonly #ports: KnownGroupsPorts;
  readonly #known = new Map<GroupId, KnownGroup>();
  /** Partitions in which something arrived. */
  readonly #hints = new Map<HomeGroup, Set<number>>();

  constructor(ports: KnownGroupsPorts) {
    this.#ports = ports;
  }

  get homes(): HomeGroup[] {
    return [...this.#known.values()].map(({ home }) => home);
  }

  get(id: GroupId): HomeGroup | undefined {
    return this.#known.get(id)?.home;
  }

  meet(id: GroupId, name: string, queue: QueueId): HomeGroup {
    let known = this.#known.get(id);
    if (known === undefined) {
      const home = new HomeGroup(id, name, queue);
      known = { home, queue: undefined, outlet: this.#outletOf(home), heardMs: 0 };
      this.#known.set(id, known);
      this.heard(id);
    }
    if (known.queue === undefined) {
      known.queue = this.#ports.routes.queue(queue);
      if (known.queue !== undefined) this.#ports.holdings.addGroup(known.queue, known.outlet);
    }
    return known.home;
  }

  /** The group's owner has named it. */
  heard(id: GroupId): void {
    const known = this.#known.get(id);
    if (known !== undefined) known.heardMs = this.#ports.monotonicMs();
  }

  forget(id: GroupId): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#known.delete(id);
    if (known.queue !== undefined) this.#ports.holdings.removeGroup(known.queue, known.outlet);
  }

  /** From a timer: those that nobody has named for long, and that nobody here needs. */
  forgetUnheard(): void {
    const limitMs = this.#ports.monotonicMs() - unheardMs;
    for (const [id, { home, heardMs }] of this.#known) {
      if (home.members.size > 0 || home.pins > 0 || heardMs >= limitMs) continue;
      if (this.#ports.owned(id) === undefined) this.forget(id);
    }
  }

  #outletOf(home: HomeGroup): GroupOutlet {
    const owned = (): OwnedGroup | undefined => this.#ports.owned(home.id);
    return {
      stored: {
        get cursors(): readonly Cursor[] {
          return owned()?.stored?.cursors ?? [];
        },
      },
      give: (message) => this.#give(home, message),
      arrived: (entry, message) => {
        const group = owned();
        if (group === undefined) this.#hint(home, entry.partition);
        else group.arrived(entry, message);
      },
    };
  }

  /** Not stored: to a member here, or by way of the owner. */
  #give(home: HomeGroup, message: Message): void {
    const { self, streams, rights } = this.#ports;
    const owned = this.#ports.owned(home.id);
    if (owned?.isGiving === true) {
      owned.give(message);
      return;
    }
    if (home.give(message, rights) || home.owner === undefined || home.owner === self) return;
    if (streams.waiting(home.owner) >= forwardedMax) {
      this.#ports.dropped(home);
      return;
    }
    streams.send(home.owner, { kind: 'message', group: home.id, message: messageText(message) });
  }

  /** The owner is to read, once for all that arrives in a short while. */
  #hint(home: HomeGroup, partition: number): void {
    const hints = this.#hints.get(home);
    if (hints !== undefined) {
      hints.add(partition);
      return;
    }
    this.#hints.set(home, new Set([partition]));
    if (this.#hints.size > 1) return;
    setTimeout(() => {
      for (const [{ id: group, owner }, partitions] of this.#hints) {
        if (owner === undefined || owner === this.#ports.self) continue;
        for (const one of partitions)
          this.#ports.streams.send(owner, { kind: 'arrived', group, partition: one });
      }
      this.#hints.clear();
    }, hintMs).unref();
  }
}
