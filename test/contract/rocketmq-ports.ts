// The parts of a registry and of sessions that the queue store on RocketMQ needs, for one process.
import type { ClientId, NodeId, QueueId } from '@lmqtt/common/ids';
import type { Intent, Intents } from '@lmqtt/ds/queue-store/intents';
import type { InboundId } from '@lmqtt/ds/queue-store/queue-store';
import type { LiveNodes, QueuePlaces } from '@lmqtt/ds/queue-store/rocketmq/options';
import type { Claim, Detours } from '@lmqtt/ds/registry/detours';
import type { Owned, Ownership } from '@lmqtt/ds/registry/ownership';
import type { Records } from '@lmqtt/ds/registry/records';

export class RecordsInMemory implements Records {
  readonly #kinds = new Map<string, Map<string, string>>();

  remember(kind: string, key: string, value: string): Promise<string> {
    const known = this.#of(kind);
    const stored = known.get(key) ?? value;
    known.set(key, stored);
    return Promise.resolve(stored);
  }

  numberOf(kind: string, key: string): Promise<number> {
    const known = this.#of(kind);
    const number = Number(known.get(key) ?? known.size);
    known.set(key, `${number}`);
    return Promise.resolve(number);
  }

  all(kind: string): Promise<Map<string, string>> {
    return Promise.resolve(new Map(this.#of(kind)));
  }

  #of(kind: string): Map<string, string> {
    let known = this.#kinds.get(kind);
    if (known === undefined) this.#kinds.set(kind, (known = new Map()));
    return known;
  }
}

export class DetoursInMemory implements Detours {
  readonly #claimed = new Set<string>();
  readonly #detours = new Map<string, string>();

  get count(): number {
    return this.#detours.size;
  }

  isClaimed(topic: string): boolean {
    return this.#claimed.has(topic);
  }

  of(topic: string): string | undefined {
    return this.#detours.get(topic);
  }

  claim(claims: readonly Claim[]): Promise<void> {
    for (const { topic, detour } of claims) {
      if (!this.#claimed.has(topic) && detour !== '') this.#detours.set(topic, detour);
      this.#claimed.add(topic);
    }
    return Promise.resolve();
  }

  read(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

interface Thing {
  owner: NodeId | undefined;
  epoch: number;
  text: string | undefined;
}

/** Shared by all; each ds has an `Ownership` of its own. */
export class OwnershipInMemory {
  readonly #things = new Map<string, Thing>();

  of(self: NodeId): Ownership {
    return {
      acquire: (things) => Promise.resolve(things.map((name) => this.#acquire(self, name))),
      release: (things) => {
        for (const name of things) {
          const thing = this.#thing(name);
          if (thing.owner === self) thing.owner = undefined;
        }
        return Promise.resolve();
      },
      save: (name, epoch, text) => {
        const thing = this.#thing(name);
        const isOurs = thing.owner === self && thing.epoch === epoch;
        if (isOurs) thing.text = text;
        return Promise.resolve(isOurs);
      },
      load: (things) => Promise.resolve(things.map((name) => this.#thing(name).text)),
    };
  }

  /** Its lease was judged. */
  judged(ds: NodeId): void {
    for (const thing of this.#things.values()) if (thing.owner === ds) thing.owner = undefined;
  }

  owner(name: string): NodeId | undefined {
    return this.#thing(name).owner;
  }

  get owned(): { name: string; owner: NodeId | undefined }[] {
    return [...this.#things].map(([name, { owner }]) => ({ name, owner }));
  }

  #acquire(self: NodeId, name: string): Owned {
    const thing = this.#thing(name);
    if (thing.owner === undefined) {
      thing.owner = self;
      thing.epoch += 1;
    }
    return { owner: thing.owner, epoch: thing.epoch };
  }

  #thing(name: string): Thing {
    let thing = this.#things.get(name);
    if (thing === undefined) {
      thing = { owner: undefined, epoch: 0, text: undefined };
      this.#things.set(name, thing);
    }
    return thing;
  }
}

export class IntentsInMemory implements Intents {
  /** By client and packet identifier. */
  readonly kept: Map<string, Intent> = new Map();
  readonly ids: Set<string> = new Set();

  intend(batch: readonly Intent[], done: (kept: boolean[]) => void): void {
    for (const intent of batch) this.kept.set(nameOf(intent), intent);
    setImmediate(() => done(batch.map(() => true)));
  }

  stored(batch: readonly InboundId[], done: () => void): void {
    for (const id of batch) {
      this.kept.delete(nameOf(id));
      this.ids.add(nameOf(id));
    }
    setImmediate(done);
  }

  dropped(batch: readonly InboundId[]): void {
    for (const id of batch) this.kept.delete(nameOf(id));
  }

  open(clientId: ClientId): Promise<Intent[]> {
    return Promise.resolve([...this.kept.values()].filter((each) => each.clientId === clientId));
  }

  isStored(id: InboundId): boolean {
    return this.ids.has(nameOf(id));
  }
}

export class NodesInMemory implements LiveNodes {
  ds: readonly { readonly id: NodeId }[];
  readonly #changed: (() => void)[] = [];
  readonly #lease: ((held: boolean) => void)[] = [];

  constructor(...ids: NodeId[]) {
    this.ds = ids.map((id) => ({ id }));
  }

  get aliveDs(): ReadonlySet<NodeId> {
    return new Set(this.ds.map(({ id }) => id));
  }

  set(...ids: NodeId[]): void {
    this.ds = ids.map((id) => ({ id }));
    for (const listener of this.#changed) listener();
  }

  lease(held: boolean): void {
    for (const listener of this.#lease) listener(held);
  }

  onChange(listener: () => void): void {
    this.#changed.push(listener);
  }

  onLease(listener: (held: boolean) => void): void {
    this.#lease.push(listener);
  }
}

/** Any number is a queue, `%LMQ%{prefix}{number}%` its place. */
export class NumberedQueues implements QueuePlaces {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = `%LMQ%${prefix}%`;
  }

  placeOf(queue: QueueId): string {
    return `${this.#prefix}${queue}%`;
  }

  atPlace(lmqName: string): readonly QueueId[] {
    if (!lmqName.startsWith(this.#prefix)) return [];
    return [Number(lmqName.slice(this.#prefix.length, -1)) as QueueId];
  }
}

function nameOf({ clientId, packetId }: InboundId): string {
  return `${packetId} ${clientId}`;
}
