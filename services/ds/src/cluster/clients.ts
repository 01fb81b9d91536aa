// Clients of the whole cluster, for operators: each ds knows those that are connected at it, and is
// asked by way of the registry. Rarely used, so nothing is kept for it.
import type { ClientId, NodeId } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import {
  type ClientLine,
  clientLine,
  type ClientsPorts,
  listClients,
} from '../use-cases/clients.ts';
import type { DsEvents } from '../events.ts';
import { kick } from '../use-cases/kick.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import type { Inbox } from '../registry/inbox.ts';
import type { Nodes } from '../registry/nodes.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

interface ClusterClientsPorts extends Pick<ClientsPorts, 'live' | 'queueStore'> {
  readonly sessionStore: { look(id: ClientId): Promise<StoredSession | undefined> };
  readonly inbox: Inbox;
  readonly registeredNodes: Pick<Nodes, 'list'>;
  readonly self: NodeId;
  readonly events: DsEvents;
}

type Question =
  | { readonly about: 'page'; readonly after: ClientId | null; readonly clientsMax: number }
  | { readonly about: 'one'; readonly id: ClientId }
  | { readonly about: 'end'; readonly id: ClientId };

/** To `end`: those that were told to go. */
type Body =
  | { readonly number: number; readonly question: Question }
  | { readonly number: number; readonly lines: readonly ClientLine[] };

interface Asked {
  readonly left: Set<NodeId>;
  readonly lines: ClientLine[];
  readonly done: () => void;
}

const use = 'clients';
/** A ds that has not answered by then is passed over. */
const answerMs = 1000;

export class ClusterClients {
  readonly #ports: ClusterClientsPorts;
  readonly #asked = new Map<number, Asked>();
  #lastNumber = 0;

  constructor(ports: ClusterClientsPorts) {
    this.#ports = ports;
    ports.inbox.onMessage((from, message) => {
      if (message.kind !== 'to' || message.use !== use) return;
      const body = message.body as Body;
      if ('lines' in body) this.#answered(from, body.number, body.lines);
      else void this.#reply(from, body.number, body.question);
    });
  }

  /** Connected clients, in the order of ids. */
  async page(after: ClientId | null, clientsMax: number): Promise<ClientLine[]> {
    const lines = await this.#everywhere({ about: 'page', after, clientsMax });
    return lines.sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, clientsMax);
  }

  /** Connected or not. */
  async one(id: ClientId): Promise<ClientLine | null> {
    const [line] = await this.#everywhere({ about: 'one', id }, () => this.#ports.live.has(id));
    if (line !== undefined) return line;
    const stored = await this.#ports.sessionStore.look(id);
    return stored === undefined ? null : clientLine(this.#listed, stored);
  }

  /** Tells it to go; false: it is not connected. */
  async end(id: ClientId): Promise<boolean> {
    const ended = await this.#everywhere({ about: 'end', id }, () => this.#ports.live.has(id));
    return ended.length > 0;
  }

  /** `isHere`: no other ds can know more. */
  async #everywhere(question: Question, isHere?: () => boolean): Promise<ClientLine[]> {
    if (isHere?.() === true) return this.#here(question);
    const { registeredNodes, self, inbox } = this.#ports;
    const nodes = await registeredNodes.list();
    const others = nodes.filter(
      ({ role, id, state }) => role === 'ds' && id !== self && state !== 'gone',
    );
    const own = await this.#here(question);
    if (others.length === 0) return own;
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#asked.delete(number);
        resolve(own);
      };
      const timer = setTimeout(done, answerMs);
      this.#asked.set(number, { left: new Set(others.map(({ id }) => id)), lines: own, done });
      for (const { id } of others)
        inbox.send(id, { kind: 'to', use, body: { number, question } satisfies Body });
    });
  }

  #answered(from: NodeId, number: number, lines: readonly ClientLine[]): void {
    const asked = this.#asked.get(number);
    if (asked === undefined || !asked.left.delete(from)) return;
    asked.lines.push(...lines);
    if (asked.left.size === 0) asked.done();
  }

  async #reply(to: NodeId, number: number, question: Question): Promise<void> {
    try {
      const body: Body = { number, lines: await this.#here(question) };
      this.#ports.inbox.send(to, { kind: 'to', use, body });
    } catch (error) {
      this.#ports.events.unexpected('clients of the cluster', error);
    }
  }

  async #here(question: Question): Promise<ClientLine[]> {
    if (question.about === 'page')
      return listClients(this.#listed, question.after, question.clientsMax);
    const session = this.#ports.live.get(question.id);
    if (session === undefined) return [];
    const line = await clientLine(this.#listed, session.stored);
    if (question.about === 'end')
      kick(this.#ports.events, session, ReasonCode.administrativeAction);
    return [line];
  }

  get #listed(): ClientsPorts {
    const { live, queueStore } = this.#ports;
    return { live, queueStore, sessionStore: { sessions: storedOf(live.values()) } };
  }
}

function* storedOf(sessions: Iterable<LiveSession>): Iterable<StoredSession> {
  for (const { stored } of sessions) yield stored;
}
