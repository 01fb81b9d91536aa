import { cpSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { systemClock } from '@lmqtt/common/clock';
import {
  clientId,
  type NodeId,
  nodeId,
  type SessionHandle,
  sessionHandle,
} from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { type Message, messageOf } from '@lmqtt/common/message';
import { Metrics } from '@lmqtt/common/metrics';
import type { Qos } from '@lmqtt/common/qos';
import { readSettings } from '@lmqtt/common/settings/read';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type {
  ConnectAnswer,
  ConnectionEnd,
  ConnectRequest,
  Downstream,
  Link,
  Publish,
  QueueEnd,
  SessionWrite,
  SubscribeAnswer,
} from '@lmqtt/proto/link';
import type { SubscriptionOptions } from '@lmqtt/proto/session-state';
import { type DsOptions, type DsService, startDs } from '../src/service.ts';

/** A connection node reduced to what a test wants to see: what ds called, in order. */
export class FakeCs implements Downstream {
  readonly node: NodeId;
  readonly ends: QueueEnd[] = [];
  readonly answered: Publish[] = [];
  readonly pushed: Message[] = [];
  readonly assigned: Assignment[] = [];
  readonly kicked: { session: SessionHandle; reasonCode: number }[] = [];
  readonly told: { session: SessionHandle; rights: string | undefined }[] = [];
  readonly refusedQos0: { session: SessionHandle; reasonCode: number }[] = [];
  readonly fences: GroupFence[] = [];
  onFence: (fence: GroupFence) => void = () => {};
  onKick: (session: SessionHandle) => void = () => {};
  onAssign: (assignment: Assignment) => void = () => {};

  constructor(name = 'cs') {
    this.node = nodeId(name);
  }

  published(batch: Publish[]): void {
    this.answered.push(...batch);
  }

  refused(session: SessionHandle, reasonCode: number): void {
    this.refusedQos0.push({ session, reasonCode });
  }

  push(batch: Message[]): void {
    this.pushed.push(...batch);
  }

  assign(batch: Assignment[]): void {
    this.assigned.push(...batch);
    for (const assignment of batch) this.onAssign(assignment);
  }

  fence(fence: GroupFence): void {
    this.fences.push(fence);
    this.onFence(fence);
  }

  behind(places: QueueEnd[]): void {
    this.ends.push(...places);
  }

  rights(session: SessionHandle, rights: string | undefined): void {
    this.told.push({ session, rights });
  }

  kick(session: SessionHandle, reasonCode: number): void {
    this.kicked.push({ session, reasonCode });
    this.onKick(session);
  }
}

export interface Broker {
  readonly ds: DsService;
  readonly cs: FakeCs;
  readonly link: Link;
  readonly directory: string;
  /** Stops as planned and starts again on the same folder. */
  restart(): Promise<Broker>;
  /** Starts on what the files hold at this moment: what a kill leaves. */
  crash(): Promise<Broker>;
  stop(): Promise<void>;
}

/** A node that is attached: what the calls below go through. */
export type Attached = Pick<Broker, 'cs' | 'link'>;

export async function startBroker(
  settings: Record<string, string | number> = {},
  options: Partial<DsOptions> = {},
  directory?: string,
): Promise<Broker> {
  const folder = directory ?? (await mkdtemp(join(tmpdir(), 'lmqtt-ds-')));
  const given: Record<string, string | number> = { 'data-dir': folder, ...settings };
  const args = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const ds = await startDs({
    settings: readSettings({ args, environment: {} }),
    logs: silentLogs(),
    metrics: new Metrics(),
    clock: systemClock,
    version: 'test',
    ...options,
  });
  const cs = new FakeCs();
  const link = ds.link.attach(cs);
  return {
    ds,
    cs,
    link,
    directory: folder,
    async restart() {
      ds.prepareStop();
      await ds.stop();
      return startBroker(settings, options, folder);
    },
    async crash() {
      const copy = await mkdtemp(join(tmpdir(), 'lmqtt-ds-'));
      await copyOf(folder, copy);
      await ds.stop();
      await rm(folder, { recursive: true, force: true });
      return startBroker(settings, options, copy);
    },
    async stop() {
      await ds.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Copies a folder whose files are being written; a file that goes meanwhile makes the copy begin
 * again. The lock of the folder (`journal/lock.ts`) is left out: a socket cannot be copied, and
 * nobody holds the copy.
 */
export async function copyOf(folder: string, copy: string): Promise<void> {
  for (let tries = 5; ; tries -= 1) {
    try {
      const filter = (source: string): boolean => basename(source) !== 'holders';
      cpSync(folder, copy, { recursive: true, filter });
      return;
    } catch (error) {
      if (tries === 1) throw error;
      await rm(copy, { recursive: true });
    }
  }
}

let lastHandle = 0;

export async function connect(
  broker: Attached,
  id: string,
  request: Partial<ConnectRequest> = {},
): Promise<{ session: SessionHandle; answer: ConnectAnswer & { kind: 'accepted' } }> {
  const { session, answer } = await tryConnect(broker, id, request);
  if (answer.kind !== 'accepted') throw new Error(`${id}: ${JSON.stringify(answer)}`);
  return { session, answer };
}

export async function tryConnect(
  broker: Attached,
  id: string,
  request: Partial<ConnectRequest> = {},
): Promise<{ session: SessionHandle; answer: ConnectAnswer }> {
  lastHandle += 1;
  const session = sessionHandle(lastHandle);
  const answer = await broker.link.connect({
    session,
    protocolVersion: 5,
    clientId: clientId(id),
    randomClientId: false,
    cleanStart: false,
    sessionExpiryS: 3600,
    keepAliveS: 0,
    userName: undefined,
    password: undefined,
    authenticationMethod: undefined,
    authenticationData: undefined,
    will: undefined,
    peer: { address: '127.0.0.1', port: 1, tls: false },
    ...request,
  });
  return { session, answer };
}

export const plain: SubscriptionOptions = {
  qos: 2,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  subscriptionIdentifier: undefined,
};

export async function subscribeTo(
  broker: Attached,
  session: SessionHandle,
  filter: string,
  options: Partial<SubscriptionOptions> = {},
): Promise<SubscribeAnswer & { kind: 'granted' }> {
  const entries = [{ filter, options: { ...plain, ...options } }];
  const [answer] = await broker.link.subscribe(session, entries);
  if (answer?.kind !== 'granted') throw new Error(`${filter}: ${JSON.stringify(answer)}`);
  return answer;
}

let lastPacketId = 0;

export function publishOf(
  session: SessionHandle,
  topic: string,
  payload: string,
  qos: Qos = 1,
  retain = false,
  packetId?: number,
): Publish {
  lastPacketId = (lastPacketId % 60_000) + 1;
  const message = messageOf({ topic, qos, retain, payload: Buffer.from(payload) });
  return { session, packetId: packetId ?? (qos === 0 ? 0 : lastPacketId), message, reasonCode: 0 };
}

/** Publishes and waits for the answer; gives its reason code. */
export async function publish(
  broker: Attached,
  session: SessionHandle,
  topic: string,
  payload: string,
  qos: Qos = 1,
  retain = false,
  packetId?: number,
): Promise<number> {
  const sent = publishOf(session, topic, payload, qos, retain, packetId);
  broker.link.publish([sent]);
  if (qos > 0) await until(() => broker.cs.answered.includes(sent), 'the answer to a publish');
  return sent.reasonCode;
}

export function durable(broker: Attached, writes: SessionWrite[]): Promise<void> {
  return new Promise((resolve) => broker.link.write(writes, resolve));
}

export const lost: ConnectionEnd = {
  publishWill: true,
  sessionExpiryS: undefined,
  reason: 'client',
};

export const left: ConnectionEnd = { ...lost, publishWill: false };

export function texts(messages: readonly Message[]): string[] {
  return messages.map((message) => message.payload.toString());
}

export async function until(
  condition: () => boolean,
  what: string,
  timeoutMs = 5000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`waited in vain for ${what}`);
    await pause(5);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
