import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@lmqtt/common/clock';
import { clientId, nodeId, sessionHandle, type SessionHandle } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { readSettings } from '@lmqtt/common/settings/read';
import type {
  ConnectAnswer,
  ConnectRequest,
  Link,
  PresentedSession,
  Refusal,
} from '@lmqtt/proto/link';
import { type DsService, startDs } from '../src/service.ts';
import { type Attached, connect, copyOf, FakeCs } from './fake-cs.ts';

export const leaseMs = 1000;

/** A ds whose nodes are other processes, and a clock that a test moves. */
export class SplitDs {
  readonly ds: DsService;
  readonly directory: string;
  readonly #clock: { passedMs: number };

  private constructor(ds: DsService, directory: string, clock: { passedMs: number }) {
    this.ds = ds;
    this.directory = directory;
    this.#clock = clock;
  }

  static async start(directory?: string): Promise<SplitDs> {
    const folder = directory ?? (await mkdtemp(join(tmpdir(), 'lmqtt-ds-')));
    const args = ['--data-dir', folder, '--lease-ms', String(leaseMs)];
    const clock = { passedMs: 0 };
    const ds = await startDs({
      settings: readSettings({ args, environment: {} }),
      logs: silentLogs(),
      metrics: new Metrics(),
      version: 'test',
      csOutlives: true,
      clock: {
        nowMs: () => systemClock.nowMs(),
        monotonicMs: () => systemClock.monotonicMs() + clock.passedMs,
      },
    });
    return new SplitDs(ds, folder, clock);
  }

  /** In steps that are looked at, or ds would seem to have stood still. */
  passMs(ms: number): void {
    for (let left = ms; left > 0; left -= leaseMs / 10) {
      this.#clock.passedMs += Math.min(left, leaseMs / 10);
      this.ds.link.renew(nodeId('nobody'));
    }
  }

  /** The process was stopped, and goes on. */
  standStill(ms: number): void {
    this.#clock.passedMs += ms;
  }

  /** A ds that is killed, and another that starts on its files. */
  async kill(): Promise<SplitDs> {
    const copy = await mkdtemp(join(tmpdir(), 'lmqtt-ds-'));
    await copyOf(this.directory, copy);
    await this.stop();
    return SplitDs.start(copy);
  }

  /** As planned, and a start on what it has left. */
  async restart(): Promise<SplitDs> {
    this.ds.prepareStop();
    await this.ds.stop();
    return SplitDs.start(this.directory);
  }

  async stop(): Promise<void> {
    await this.ds.stop();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

interface Held {
  readonly session: SessionHandle;
  readonly request: Partial<ConnectRequest>;
  readonly answer: ConnectAnswer & { readonly kind: 'accepted' };
  readonly id: string;
}

/** A cs that lives on while ds restarts: it renews its lease, and keeps what it has to present. */
export class Node implements Attached {
  readonly cs: FakeCs;
  readonly instance: string;
  readonly held: Map<SessionHandle, Held> = new Map();
  link: Link;
  refusals: Refusal[] = [];
  #renewing: NodeJS.Timeout | undefined = undefined;

  private constructor(cs: FakeCs, instance: string, link: Link) {
    this.cs = cs;
    this.instance = instance;
    this.link = link;
  }

  static async attach(split: SplitDs, name: string, instance = `${name} 1`): Promise<Node> {
    const cs = new FakeCs(name);
    const { link } = await split.ds.link.admit(cs, instance, []);
    const node = new Node(cs, instance, link);
    node.renew(split);
    return node;
  }

  /** At another ds, with these sessions. */
  async present(split: SplitDs, sessions: PresentedSession[]): Promise<void> {
    this.pause();
    const { link, refusals } = await split.ds.link.admit(this.cs, this.instance, sessions);
    this.link = link;
    this.refusals = refusals;
    this.renew(split);
  }

  renew(split: SplitDs): void {
    this.pause();
    const { node } = this.cs;
    this.#renewing = setInterval(() => split.ds.link.renew(node), leaseMs / 3);
    this.#renewing.unref();
  }

  /** Its lease is no longer renewed. */
  pause(): void {
    clearInterval(this.#renewing);
  }

  async connect(id: string, request: Partial<ConnectRequest> = {}): Promise<Held> {
    const { session, answer } = await connect(this, id, request);
    const held = { session, request, answer, id };
    this.held.set(session, held);
    return held;
  }

  /** As it stands with nothing in flight; `more` says the rest. */
  presented(held: Held, more: Partial<PresentedSession> = {}): PresentedSession {
    const { answer, request, session, id } = held;
    return {
      session: sessionHandle(session),
      clientId: clientId(id),
      epoch: answer.epoch,
      protocolVersion: request.protocolVersion ?? 5,
      keepAliveS: request.keepAliveS ?? 0,
      peer: { address: '127.0.0.1', port: 1, tls: false },
      principal: answer.principal,
      authenticationMethod: undefined,
      sessionExpiryS: answer.sessionExpiryS,
      state: { subscriptions: [], outbound: [], inbound: [] },
      storing: [],
      end: undefined,
      ...more,
    };
  }
}

/** Held sessions whose state says no more than what they subscribe to. */
export function subscribed(
  subscriptions: PresentedSession['state']['subscriptions'],
): Pick<PresentedSession, 'state'> {
  return { state: { subscriptions, outbound: [], inbound: [] } };
}
