import type { SessionHandle } from '@lmqtt/common/ids';
import { ReasonCode } from '@lmqtt/common/reason-code';
import type { Link, Publish } from '@lmqtt/proto/link';
import type { Client } from './connection/client.ts';
import { onPublished, onRefused } from './connection/packets/publish.ts';
import type { CsEvents } from './events.ts';
import { StoreBacklog } from './store-backlog.ts';
import type { Turn } from './turn.ts';

/** Time between letting go some publishers and the next ones. */
const letGoMs = 10;

/** The node as the publishes of its clients need it. */
interface PublishingNode {
  readonly link: Link;
  readonly connections: { get(handle: SessionHandle): Client | undefined };
  /** Whether ds is another process: in one process there is no lease, and ds is never another one. */
  readonly remote: boolean;
}

/**
 * Publishes of the node's clients on their way to ds, and its answers to them. Publishers are not
 * read while too much of theirs waits for the store.
 */
export class IncomingPublishes {
  readonly #node: PublishingNode;
  readonly #turn: Turn;
  readonly #events: CsEvents;
  readonly #backlog: StoreBacklog;
  /** Set while publishers that were let go may have sent nothing. */
  #letGoTimer: NodeJS.Timeout | undefined = undefined;

  constructor(node: PublishingNode, turn: Turn, events: CsEvents, storeBytesMax: number) {
    this.#node = node;
    this.#turn = turn;
    this.#events = events;
    this.#backlog = new StoreBacklog(storeBytesMax);
  }

  /** Whether so much waits for the store that publishers are not read. */
  get storeBehind(): boolean {
    return this.#backlog.behind;
  }

  /** The client is not read for another reason, which has ended: it waits for room now. */
  awaitRoom(client: Client): void {
    this.#backlog.holdBack(client);
  }

  send(client: Client, publish: Publish): void {
    if (!this.#backlog.add(client, publish)) this.#events.limit('PENDING_APPEND_BYTES_MAX');
    const { inbound } = client;
    if (!inbound.holdsPublishes) this.#turn.publish(publish);
    else if (!inbound.hold(publish)) client.pauseReading();
  }

  /** The link has taken all that was sent so far, or is another one. */
  handedOver(): void {
    this.#backlog.handedOver(this.#node.link.roomBytes);
  }

  answered(batch: Publish[]): void {
    const { connections } = this.#node;
    let client: Client | undefined;
    for (const publish of batch) {
      // A receipt: no client waits for it.
      if (publish.packetId === 0) continue;
      this.#backlog.answered(publish);
      if (client === undefined || client.handle !== publish.session)
        client = connections.get(publish.session);
      if (client !== undefined) onPublished(client, publish);
      if (publish.reasonCode === ReasonCode.notAuthorized) this.#events.notAuthorized();
    }
    this.letGo();
  }

  /** A QoS 0 publish was refused. */
  refused(session: SessionHandle, reasonCode: number): void {
    const { connections } = this.#node;
    const client = connections.get(session);
    if (client !== undefined) onRefused(client, reasonCode);
    if (reasonCode === ReasonCode.notAuthorized) this.#events.notAuthorized();
  }

  /** Publishers that were held back are read again as far as there is room. */
  letGo(): void {
    const backlog = this.#backlog;
    if (!backlog.holds || this.#letGoTimer !== undefined) return;
    if (this.#node.remote) {
      this.#turn.flush();
      this.handedOver();
    }
    backlog.letGo();
    // Clients that were let go may send nothing, so that no answer lets go the next ones.
    if (!backlog.holds || backlog.behind) return;
    this.#letGoTimer = setTimeout(() => {
      this.#letGoTimer = undefined;
      this.letGo();
    }, letGoMs);
  }

  /** The client has ended. */
  forget(client: Client): void {
    this.#backlog.forget(client);
  }

  stop(): void {
    clearTimeout(this.#letGoTimer);
  }
}
