// QoS 2 step by step, in both directions: how far each row comes before something is killed, and
// how its handshake is completed afterwards, over another connection or over the one that was.
import assert from 'node:assert/strict';
import type { ConnectFields, Version } from '../harness/packets.ts';
import type { RawClient } from '../harness/wire.ts';

const inboundId = 7;

/** One publisher or one subscriber, and its other side, which only watches or feeds. */
export interface Row {
  readonly name: string;
  readonly version: Version;
  readonly topic: string;
}

export interface Step {
  readonly name: string;
  /** To where the broker is killed. */
  readonly before: (client: RawClient, row: Row) => Promise<void>;
  /** On the session that was, over another connection. */
  readonly after: (client: RawClient, row: Row) => Promise<void>;
  /** On the connection that was; default: as `after`. */
  readonly stay?: (client: RawClient, row: Row) => Promise<void>;
}

/** Fields of a session that stays. */
export function fields(
  { name, version }: Row,
  side: string,
): ConnectFields & { readonly version: Version } {
  const properties = { sessionExpiryInterval: 3600 };
  const clientId = `${side} of ${name}`;
  return { version, clientId, clean: false, ...(version === 5 ? { properties } : {}) };
}

const publish = (client: RawClient, { topic }: Row, payload: string, dup = false): void =>
  client.sendPublish({ topic, payload, qos: 2, packetId: inboundId, dup });

/** The whole handshake, begun anew with DUP. */
async function publishAgain(client: RawClient, row: Row): Promise<void> {
  publish(client, row, 'once', true);
  await client.expect('pubrec', { packetId: inboundId, reason: 0 });
  await release(client);
}

async function release(client: RawClient): Promise<void> {
  client.sendAck('pubrel', inboundId);
  await client.expect('pubcomp', { packetId: inboundId });
}

export const inboundSteps: readonly Step[] = [
  {
    name: 'PUBLISH sent',
    before: async (client, row) => publish(client, row, 'once'),
    after: publishAgain,
    stay: async (client) => {
      await client.expect('pubrec', { packetId: inboundId, reason: 0 });
      await release(client);
    },
  },
  {
    name: 'PUBREC received',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
    },
    after: release,
  },
  {
    name: 'PUBREC on its way, so that PUBLISH comes again',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
    },
    after: publishAgain,
  },
  {
    name: 'PUBREL sent',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
      client.sendAck('pubrel', inboundId);
    },
    after: release,
    stay: async (client) => {
      await client.expect('pubcomp', { packetId: inboundId });
    },
  },
  {
    name: 'PUBCOMP received',
    before: async (client, row) => {
      publish(client, row, 'once');
      await client.expect('pubrec', { packetId: inboundId });
      await release(client);
    },
    // The identifier is free: what it names now is another message.
    after: async (client, row) => {
      publish(client, row, 'second');
      await client.expect('pubrec', { packetId: inboundId });
      await release(client);
    },
  },
];

/** Identifiers of the subscribers' messages, by row. */
const outboundIds = new Map<string, number>();
const idOf = ({ name }: Row): number => outboundIds.get(name) ?? 0;

async function takePublish(client: RawClient, row: Row): Promise<number> {
  const { packetId } = await client.expect('publish', { payload: 'once', qos: 2, dup: false });
  outboundIds.set(row.name, packetId);
  return packetId;
}

/** From the PUBLISH on, which must have the identifier that it had. */
async function takeAgain(client: RawClient, row: Row): Promise<void> {
  const packetId = idOf(row);
  await client.expect('publish', { payload: 'once', qos: 2, dup: true, packetId });
  client.sendAck('pubrec', packetId);
  await finish(client, row);
}

/** PUBREL comes again, not PUBLISH. */
async function finish(client: RawClient, row: Row): Promise<void> {
  const packetId = idOf(row);
  await client.expect('pubrel', { packetId });
  client.sendAck('pubcomp', packetId);
}

export const outboundSteps: readonly Step[] = [
  {
    name: 'PUBLISH received',
    before: async (client, row) => {
      await takePublish(client, row);
    },
    after: takeAgain,
    stay: async (client, row) => {
      client.sendAck('pubrec', idOf(row));
      await finish(client, row);
    },
  },
  {
    name: 'PUBREC sent',
    before: async (client, row) => client.sendAck('pubrec', await takePublish(client, row)),
    // Whether it was read is not known, so either may come; both name the same message.
    after: async (client, row) => {
      const packetId = idOf(row);
      const packet = await client.next();
      assert.ok(packet.type === 'publish' || packet.type === 'pubrel', packet.type);
      assert.equal(packet.packetId, packetId);
      if (packet.type === 'pubrel') client.sendAck('pubcomp', packetId);
      else {
        assert.ok(packet.dup);
        client.sendAck('pubrec', packetId);
        await finish(client, row);
      }
    },
    stay: finish,
  },
  {
    name: 'PUBREL received',
    before: async (client, row) => {
      const packetId = await takePublish(client, row);
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
    },
    after: finish,
    stay: async (client, row) => client.sendAck('pubcomp', idOf(row)),
  },
  {
    name: 'PUBCOMP sent',
    before: async (client, row) => {
      const packetId = await takePublish(client, row);
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
      client.sendAck('pubcomp', packetId);
    },
    after: async () => {},
  },
  {
    name: 'PUBCOMP read',
    before: async (client, row) => {
      const packetId = await takePublish(client, row);
      client.sendAck('pubrec', packetId);
      await client.expect('pubrel', { packetId });
      client.sendAck('pubcomp', packetId);
      await client.ping();
    },
    after: async () => {},
  },
];

/** Nothing but the message that ends the test comes; PUBREL of what may not have been read may. */
export async function endsWith(client: RawClient, payload: string): Promise<void> {
  for (;;) {
    const packet = await client.next();
    if (packet.type === 'pubrel') client.sendAck('pubcomp', packet.packetId);
    else {
      assert.equal(packet.type, 'publish');
      assert.equal(packet.payload.toString(), payload);
      return;
    }
  }
}
