// An owned group, with the nodes around it in memory: connection nodes that take what they are given
// when the test says so, homes whose words come when it says so, and a store that says what is so.
import { type NodeId, nodeId, type SessionHandle, sessionHandle } from '@lmqtt/common/ids';
import { type Message, messageOf } from '@lmqtt/common/message';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { ReadAnswer, ReadRequest } from '@lmqtt/proto/link';
import type { GroupItem } from '../src/cluster/groups/messages.ts';
import { OwnedGroup, type OwnedGroupPorts } from '../src/cluster/groups/owned-group.ts';
import { Outlet } from '../src/routing/outlet.ts';
import { FakeCs } from './fake-cs.ts';
import { type Client, csNames, group, GroupStores, homes, qosAt, queue } from './group-members.ts';
import type { MovedClock } from './moved-clock.ts';

/** Words of a home on their way to the owner. */
type Word = GroupItem | 'beginning' | 'begun';

export class GroupFixture {
  readonly clock: MovedClock;
  readonly clients: Client[];
  readonly stores: GroupStores;
  readonly messages: Message[] = [];
  owned: OwnedGroup;
  readonly givenUp: number[] = [];
  isOver: 'gone' | 'lost' | undefined;
  readonly alive: Set<NodeId> = new Set(homes);
  readonly words: Map<NodeId, Word[]> = new Map(homes.map((home) => [home, []]));
  readonly #outlets = new Map<NodeId, Outlet>();
  /** Under way to each cs. */
  readonly #streams = new Map<string, (Assignment | GroupFence)[]>();
  /** Whether the owner says to all that it is the owner; otherwise `announced` has whom. */
  answersOwner = true;
  readonly announced: NodeId[][] = [];

  constructor(clock: MovedClock, clients: Client[]) {
    this.clock = clock;
    this.clients = clients;
    this.stores = new GroupStores(clients);
    for (const cs of csNames) this.attach(cs);
    this.owned = this.#own();
  }

  /** A message is stored, and the owner is told of it. */
  store(): void {
    const offset = this.messages.length;
    const places = { queue, partition: 0, offset, previous: offset - 1 };
    const payload = Buffer.from(`${offset}`);
    const message = messageOf({
      ...{ topic: 't', qos: qosAt(offset), retain: false, payload, publisher: 'p' },
    });
    message.entries = [places];
    this.messages.push(message);
    this.owned.arrived(places, message);
    this.flush();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      await this.clock.move(Math.min(50, left));
      this.owned.tick();
      this.owned.poll();
    }
    await this.clock.move(0);
  }

  join(client: Client): void {
    const { id, epoch: of, cs, fresh, credit, outList } = client;
    client.fresh = false;
    this.say(client.home, {
      ...{ kind: 'join', group, client: id, epoch: of, cs: nodeId(cs), filter: '$share/g/t' },
      ...{ handle: this.#handleOf(client), fresh, credit, outs: outList },
    });
  }

  say(home: NodeId, word: Word): void {
    if (this.alive.has(home)) this.words.get(home)!.push(word);
  }

  connect(client: Client, home: NodeId = homes[0]!, cs: string = csNames[0]!): void {
    client.begin(home, cs);
    this.stores.members.set(client.id, client.epoch);
    this.join(client);
  }

  disconnect(client: Client): void {
    client.state = 'absent';
    client.waiting = [];
    const { id, epoch: of, outList: outs } = client;
    this.say(client.home, { kind: 'left', group, client: id, epoch: of, outs });
  }

  /** Its session ends: what it has at QoS 2 goes to nobody else. */
  end(client: Client): void {
    const { id, epoch: of, home } = client;
    const places = client.outList.filter(({ qos }) => qos === 2);
    this.givenUp.push(...places.map(({ offset }) => offset));
    this.stores.done(group, places);
    client.state = 'ended';
    client.outs.clear();
    client.waiting = [];
    this.say(home, { kind: 'leave', group, client: id, epoch: of, places });
    void this.stores.leave(group, id, of);
  }

  ack(client: Client): void {
    const [out] = client.outs.values();
    if (out === undefined) return;
    const { offset, partition, qos } = out;
    const places = [{ partition, offset }];
    if (qos === 2) this.stores.done(group, places);
    client.outs.delete(offset);
    this.say(client.home, { kind: 'done', group, marked: qos === 2, places });
    this.credit(client);
  }

  credit(client: Client): void {
    const { id, epoch: of, credit: total } = client;
    this.say(client.home, { kind: 'credit', group, client: id, epoch: of, total });
  }

  /** So many words of that home come to the owner. */
  async hear(home: NodeId, count: number = Infinity): Promise<void> {
    for (const word of this.words.get(home)!.splice(0, Math.min(count, 1000))) {
      if (word === 'beginning') this.owned.beginning(home);
      else if (word === 'begun') this.owned.begun(home);
      else this.owned.take(home, word);
      this.flush();
    }
    await this.clock.move(0);
  }

  /** So many of what is under way come to that cs. */
  deliver(cs: string, count: number = Infinity): void {
    for (const one of this.#streams.get(cs)!.splice(0, Math.min(count, 1000))) {
      const client = this.clients.find((each) => this.#handleOf(each) === one.session);
      if (client?.cs !== cs || client.state !== 'connected') continue;
      if ('offset' in one) client.take(one);
      else this.#fence(client, one);
    }
  }

  /** Another one for each connection. */
  #handleOf(client: Client): SessionHandle {
    return sessionHandle(100 * this.clients.indexOf(client) + client.epoch);
  }

  #fence(client: Client, fence: GroupFence): void {
    if (client.isHomeless || !client.fenced(fence)) return;
    const { id, epoch: of, credit, outList: outs } = client;
    const { number } = fence;
    this.say(client.home, {
      ...{ kind: 'fenced', group, client: id, epoch: of, fence: number, credit, outs },
    });
  }

  /** The stream to that cs is lost, with what was under way. */
  cut(cs: string): void {
    this.#outlets.delete(nodeId(cs));
    this.#streams.set(cs, []);
  }

  attach(cs: string): void {
    if (this.#outlets.has(nodeId(cs))) return;
    const downstream = new FakeCs(cs);
    const stream: (Assignment | GroupFence)[] = [];
    this.#streams.set(cs, stream);
    downstream.onAssign = (assignment) => stream.push(assignment);
    downstream.onFence = (fence) => stream.push(fence);
    this.#outlets.set(nodeId(cs), new Outlet(downstream));
  }

  flush(): void {
    for (const outlet of this.#outlets.values()) outlet.flush();
  }

  streamOf(cs: string): readonly (Assignment | GroupFence)[] {
    return this.#streams.get(cs)!;
  }

  /** Everything that home has to say; what it said before is void. */
  restate(home: NodeId): void {
    this.words.set(home, []);
    this.say(home, 'beginning');
    for (const client of this.livingAt(home)) this.join(client);
    this.say(home, 'begun');
  }

  /** The home ends without a word; its clients are not presented elsewhere yet. */
  homeEnds(home: NodeId): void {
    for (const client of this.livingAt(home)) client.isHomeless = true;
    this.alive.delete(home);
    this.words.set(home, []);
    this.owned.dsEnded(home);
  }

  /** The cs of a client whose home ended presents it to another. */
  present(client: Client, home: NodeId): void {
    client.home = home;
    client.isHomeless = false;
    client.count();
    this.join(client);
  }

  livingAt(home: NodeId): Client[] {
    return this.clients.filter(
      (one) => one.state === 'connected' && one.home === home && !one.isHomeless,
    );
  }

  /** The owner dies; another begins with what is stored. What it gave may be under way still. */
  newOwner(): void {
    this.owned.close(false);
    this.isOver = undefined;
    this.stores.ownerEpoch += 1;
    for (const cs of csNames) {
      this.deliver(cs);
      this.cut(cs);
      this.attach(cs);
    }
    for (const home of homes) this.words.set(home, []);
    this.owned = this.#own();
  }

  #own(): OwnedGroup {
    const { clock, stores } = this;
    const of = stores.ownerEpoch;
    const isOwner = (): boolean => stores.ownerEpoch === of;
    const ports: OwnedGroupPorts = {
      ...{ groupStore: stores, absentMembers: stores, outlets: this.#outlets, readMessages: 3 },
      queueStore: { read: (request) => this.#read(request), partitions: () => [0] },
      ownership: {
        acquire: () => Promise.resolve([]),
        release: () => Promise.resolve(),
        load: () => Promise.resolve([stores.text]),
        save: (_thing, by, text) => {
          if (by !== stores.ownerEpoch) return Promise.resolve(false);
          stores.text = text;
          return Promise.resolve(true);
        },
      },
      // What was lost goes out again at once, however often.
      ...{ retryIntervalMs: 0, triesMax: Infinity, undelivered: () => Promise.resolve() },
      rights: { ofText: () => undefined },
      monotonicMs: () => clock.monotonicMs(),
      mayGive: isOwner,
      otherDs: () => Promise.resolve([...homes]),
      isAlive: (ds) => this.alive.has(ds),
      announce: (owned, ds) => {
        this.announced.push([...ds]);
        if (this.answersOwner) for (const home of ds) this.here(home, owned.epoch);
      },
      flush: () => this.flush(),
      readFailed: () => undefined,
      givenUp: () => undefined,
      failed: () => undefined,
      over: (_owned, isGone) => {
        if (isOwner()) this.isOver = isGone ? 'gone' : 'lost';
      },
    };
    return new OwnedGroup(group, of, ports);
  }

  /** The home has been told who owns the group, and names its members. */
  here(home: NodeId, ownerEpoch: number): void {
    for (const client of this.livingAt(home)) this.join(client);
    this.say(home, { kind: 'here', group, ownerEpoch });
  }

  #read({ from, messagesMax }: ReadRequest): Promise<ReadAnswer> {
    const messages = this.messages.slice(from, from + messagesMax);
    const next = from + messages.length;
    return Promise.resolve({ messages, next, end: this.messages.length });
  }
}
