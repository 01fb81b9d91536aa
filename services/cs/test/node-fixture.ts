import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Clock } from '@lmqtt/common/clock';
import { nodeId } from '@lmqtt/common/ids';
import { silentLogs } from '@lmqtt/common/log';
import { Metrics } from '@lmqtt/common/metrics';
import { readSettings } from '@lmqtt/common/settings/read';
import { generate, parser as newParser } from 'mqtt-packet';
import type { IConnectPacket, Packet, Parser } from 'mqtt-packet';
import type { CsConfig } from '../src/config.ts';
import { Counters } from '../src/counters.ts';
import { CsEvents } from '../src/events.ts';
import { ConnectionNode } from '../src/node.ts';
import { nobody } from '../src/transport/transport.ts';
import type { ByteStream, StreamOwner, StreamPeer } from '../src/transport/transport.ts';
import { ScriptedDs } from './scripted-ds.ts';

/** A clock that stands until it is moved. */
export class StandingClock implements Clock {
  ms = 0;
  nowMs(): number {
    return 1_000_000 + this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
}

/** A client at the other end of a stream without a network. */
export class FakeClient implements ByteStream {
  readonly peer: StreamPeer = { address: '192.0.2.1', port: 4711, tls: false };
  readonly bufferedBytes = 0;
  owner: StreamOwner = nobody;
  /** Packets that it was sent since it was last asked. */
  packets: Packet[] = [];
  paused = false;
  closed = false;
  readonly #version: 4 | 5;
  readonly #parser: Parser;

  constructor(version: 4 | 5) {
    this.#version = version;
    this.#parser = newParser({ protocolVersion: version });
    this.#parser.on('packet', (packet: Packet) => this.packets.push(packet));
  }

  send(packet: Packet): void {
    this.owner.received(generate(packet, { protocolVersion: this.#version }));
  }

  /** The types of the packets that it was sent since it was last asked. */
  took(): string[] {
    return this.packets.splice(0).map(({ cmd }) => cmd);
  }

  write(bytes: Uint8Array): void {
    if (!this.closed) this.#parser.parse(Buffer.from(bytes));
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.closed = true;
  }
  welcome(): void {}

  destroy(): void {
    this.closed = true;
  }
  /** The network goes. */
  lose(): void {
    this.closed = true;
    this.owner.lost();
  }
}

export interface Cell {
  readonly ds: ScriptedDs;
  readonly node: ConnectionNode;
  readonly clock: StandingClock;
  readonly counters: Counters;
  /** Connects a client; `packet` adds to its CONNECT. */
  readonly connect: (clientId: string, packet?: Partial<IConnectPacket>) => Promise<FakeClient>;
}

/** A node over a scripted ds, until the test ends. */
export function startNode(
  t: TestContext,
  config: Partial<CsConfig> = {},
  others?: () => Promise<readonly string[]>,
): Cell {
  const clock = new StandingClock();
  const ds = new ScriptedDs();
  const metrics = new Metrics();
  const counters = new Counters();
  const logs = silentLogs();
  const events = new CsEvents(logs.connection, metrics, counters);
  const settings = { ...readSettings({ args: [], environment: {} }), ...config };
  const node = new ConnectionNode(
    nodeId('n'),
    settings,
    10_000,
    clock,
    events,
    counters,
    ds,
    others,
  );
  t.after(() => node.stop(10));
  return {
    ds,
    node,
    clock,
    counters,
    connect: async (clientId, packet = {}) => {
      const protocolVersion = packet.protocolVersion === 4 ? 4 : 5;
      const client = new FakeClient(protocolVersion);
      node.connections.accept(client);
      client.send({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion,
        clientId,
        clean: true,
        keepalive: 60,
        ...packet,
      });
      await turns();
      return client;
    },
  };
}

/** Some turns of the event loop. */
export async function turns(count = 6): Promise<void> {
  for (let index = 0; index < count; index++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const deadlineMs = 60_000;

/** Waits for the effect of timers, by the real clock. */
export async function until(holds: () => boolean): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!holds()) {
    assert.ok(performance.now() < endMs, 'not in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
