// The common part of the MQTT 5 suites: one broker for a file, clients that speak version 5, and
// the two ways in which a test waits without sleeping: for an answer of the broker (`refused`), and
// for a message that must be the only one (`nothingElse`).
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { Broker } from '../harness/broker.ts';
import { startBroker } from '../harness/shape.ts';
import type { ConnectFields } from '../harness/packets.ts';
import type { Disconnect, ServerPacketType } from '../harness/parser.ts';
import type { RawClient } from '../harness/wire.ts';
import { closeAllClients, connected, connectRaw, unique } from '../harness/wire.ts';

/** For a packet that cannot be parsed. */
export const malformed = 0x81;
/** For a packet that can be parsed and breaks the protocol. */
export const protocolError = 0x82;
/** Codes for something that the specification forbids without saying which of the two it is. */
export const eitherError: readonly number[] = [malformed, protocolError];

/** Tests of one file run at once, each on its own topics and client ids. */
export const together = { concurrency: 8 } as const;

export type V5Fields = Omit<ConnectFields, 'version'> & { readonly sessionPresent?: boolean };

export class Suite {
  #broker: Broker | undefined;

  constructor(settings: Readonly<Record<string, string>> = {}) {
    before(async () => {
      this.#broker = await startBroker({ settings: { LOG_LEVEL: 'warn', ...settings } });
    });
    after(async () => {
      closeAllClients();
      await this.#broker?.stop();
    });
  }

  get broker(): Broker {
    assert.ok(this.#broker, 'the broker has not been started');
    return this.#broker;
  }

  /** A TCP connection on which nothing has been sent. */
  raw(): Promise<RawClient> {
    return connectRaw(this.broker.mqttPort, { version: 5 });
  }

  /** Connected with version 5 and CONNACK 0. */
  client(fields: V5Fields = {}): Promise<RawClient> {
    return connected(this.broker.mqttPort, { version: 5, ...fields });
  }

  /**
   * Nothing has come for `client` and nothing is on its way: a message published now is the next
   * one it gets.
   */
  async nothingElse(client: RawClient): Promise<void> {
    const marker = unique('marker');
    await client.subscribe(marker);
    const other = await this.client();
    await other.publish(marker, '', { qos: 1 });
    await client.expect('publish', { topic: marker });
    await client.expectNothing();
    other.destroy();
  }
}

/**
 * A packet that the broker must refuse: by an acknowledgement of `type` with one of `reasons`,
 * after which the connection goes on, or by a DISCONNECT with one of `closing`.
 */
export async function refused(
  client: RawClient,
  type: Extract<ServerPacketType, 'puback' | 'pubrec' | 'suback' | 'unsuback'>,
  reasons: readonly number[],
  closing: readonly number[],
): Promise<void> {
  const packet = await client.next();
  if (packet.type === 'disconnect') {
    assertReason(packet, closing);
    await client.expectClose();
    return;
  }
  assert.equal(packet.type, type);
  const got = 'reasons' in packet ? packet.reasons : 'reason' in packet ? [packet.reason] : [];
  assert.ok(
    got.length > 0 && got.every((reason) => reasons.includes(reason)),
    `reasons ${String(got)} in ${type}, wanted ${String(reasons)}`,
  );
  await client.ping();
}

function assertReason(packet: Disconnect, reasons: readonly number[]): void {
  assert.ok(
    reasons.includes(packet.reason),
    `reason 0x${packet.reason.toString(16)} in disconnect, wanted ${reasons.map((r) => r.toString(16)).join(' or ')}`,
  );
}

/** Time passes: only for intervals that are measured in seconds on the wire. */
export function seconds(count: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, count * 1000);
  });
}
