// Clients of the whole cluster, for operators: each ds knows those that are connected at it, and is
// asked by way of the registry; the session store has those that are away. Rarely used, so nothing
// is kept for it.
import type { ClientId } from '@lmqtt/common/ids';
import { nextTurn } from '@lmqtt/common/pause';
import { ReasonCode } from '@lmqtt/common/reason-code';
import { type ClientDetail, clientDetail, type DetailPorts } from '../use-cases/client-detail.ts';
import { fitsOf, mayBeAway } from '../use-cases/client-filter.ts';
import {
  type ClientLine,
  type ClientPage,
  lineFor,
  listClients,
  type PageRequest,
} from '../use-cases/clients.ts';
import type { PeerQuestions } from './ds-questions.ts';
import { kick } from '../use-cases/kick.ts';
import type { LiveSession } from '../sessions/live-session.ts';
import {
  endWithConnection,
  removeAbsent,
  type RemoveSessionPorts,
} from '../use-cases/remove-session.ts';
import type { StoredSession } from '../session-store/stored-session.ts';

interface ClusterClientsPorts extends RemoveSessionPorts {
  readonly live: Map<ClientId, LiveSession>;
  readonly queueStore: DetailPorts['queueStore'];
  readonly sessionStore: RemoveSessionPorts['sessionStore'] &
    DetailPorts['sessionStore'] & {
      look(id: ClientId): Promise<StoredSession | undefined>;
      storedIds(after: ClientId | null, idsMax: number, prefix: string): Promise<ClientId[]>;
    };
}

/** Sessions that are read from the store together. */
const looksAtOnce = 50;

const byId = (a: ClientLine, b: ClientLine): number => (a.id < b.id ? -1 : 1);

export class ClusterClients {
  readonly #ports: ClusterClientsPorts;
  readonly #page: (request: PageRequest) => Promise<ClientPage[]>;
  readonly #one: (id: ClientId) => Promise<(ClientDetail | null)[]>;
  readonly #end: (id: ClientId) => Promise<boolean[]>;
  readonly #remove: (id: ClientId) => Promise<boolean[]>;

  constructor(ports: ClusterClientsPorts, questions: PeerQuestions) {
    this.#ports = ports;
    const { live, queueStore } = ports;
    this.#page = questions.about('clients', (request: PageRequest) => {
      const sessionStore = { sessions: storedOf(live.values()) };
      return listClients({ live, queueStore, sessionStore }, request);
    });
    this.#one = questions.about('client', async (id: ClientId) => {
      const session = live.get(id);
      return session === undefined ? null : clientDetail(ports, session.stored);
    });
    this.#end = questions.about('end of a client', (id: ClientId) =>
      Promise.resolve(this.#kick(id)),
    );
    this.#remove = questions.about('end of a session', async (id: ClientId) => {
      const session = live.get(id);
      if (session !== undefined) await endWithConnection(ports, session);
      return session !== undefined;
    });
  }

  /** Clients in the order of ids, connected or not. */
  async page(request: PageRequest): Promise<ClientPage> {
    const { after, clientsMax, filter } = request;
    const pages = await this.#page(request);
    const lines = pages.flatMap((page) => page.lines).sort(byId);
    let horizon: ClientId | null = null;
    if (mayBeAway(filter)) {
      const ids = await this.#ports.sessionStore.storedIds(after, clientsMax, filter.prefix ?? '');
      const connected = new Set(lines.map(({ id }) => id));
      lines.push(
        ...(await this.#away(
          ids.filter((id) => !connected.has(id)),
          request,
        )),
      );
      lines.sort(byId);
      if (ids.length >= clientsMax) horizon = ids.at(-1)!;
    }
    const until = horizon;
    const known = until === null ? lines : lines.filter(({ id }) => id <= until);
    if (known.length <= clientsMax && until !== null) return { lines: known, next: until };
    const isLast = known.length < clientsMax;
    const cut = known.slice(0, clientsMax);
    return { lines: cut, next: isLast ? null : (cut.at(-1)?.id ?? null) };
  }

  /** Connected or not. */
  async one(id: ClientId): Promise<ClientDetail | null> {
    const { live, sessionStore } = this.#ports;
    const here = live.get(id);
    if (here !== undefined) return clientDetail(this.#ports, here.stored);
    const found = (await this.#one(id)).find((detail) => detail !== null);
    if (found !== undefined) return found;
    const stored = await sessionStore.look(id);
    return stored === undefined ? null : clientDetail(this.#ports, stored);
  }

  /** Tells it to go; false: it is not connected. */
  async end(id: ClientId): Promise<boolean> {
    return this.#kick(id) || (await this.#end(id)).includes(true);
  }

  /** False: there is no session. */
  async remove(id: ClientId): Promise<boolean> {
    if ((await this.#remove(id)).includes(true)) return true;
    return removeAbsent(this.#ports, id, () => this.#ports.sessionStore.look(id));
  }

  #kick(id: ClientId): boolean {
    const session = this.#ports.live.get(id);
    if (session === undefined) return false;
    kick(this.#ports.events, session, ReasonCode.administrativeAction);
    return true;
  }

  /** Lines of the sessions that are away and fit the request. */
  async #away(ids: readonly ClientId[], request: PageRequest): Promise<ClientLine[]> {
    const { sessionStore } = this.#ports;
    const fits = fitsOf(request.filter);
    const lines: ClientLine[] = [];
    for (let at = 0; at < ids.length; at += looksAtOnce) {
      const some = ids.slice(at, at + looksAtOnce);
      const sessions = await Promise.all(some.map((id) => sessionStore.look(id)));
      await nextTurn();
      for (const session of sessions) {
        if (session === undefined || session.connected || !fits(session, undefined)) continue;
        lines.push(await lineFor(this.#ports, session, request));
      }
    }
    return lines;
  }
}

function* storedOf(sessions: Iterable<LiveSession>): Iterable<StoredSession> {
  for (const { stored } of sessions) yield stored;
}
