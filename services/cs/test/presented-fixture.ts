import assert from 'node:assert/strict';
import { groupId, queueId, sessionHandle } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { PresentedSession } from '@lmqtt/proto/link';
import type { Place, SubscriptionState } from '@lmqtt/proto/session-state';
import type { FakeClient } from './node-fixture.ts';
import { stored } from './queue-fixture.ts';
import { subscriptionState } from './scripted-ds.ts';
import type { ScriptedDs } from './scripted-ds.ts';

export function place(queue: number, offset: number): Place {
  return { kind: 'queue', queue: queueId(queue), partition: 0, offset };
}

export function groupPlace(offset: number): Place {
  return { kind: 'group', group: groupId(7), queue: queueId(9), partition: 0, offset };
}

/** Messages of one queue, from offset 0 on. */
export function messagesOf(queue: number, texts: readonly string[], topic = 't'): Message[] {
  return texts.map((text, n) => stored(text, 2, [[queue, n, n - 1]], topic));
}

export function assign(ds: ScriptedDs, offset: number, session = 1, qos: 0 | 1 | 2 = 1): void {
  const message = stored(String(offset), qos, [[9, offset, offset - 1]]);
  ds.node.assign([
    {
      session: sessionHandle(session),
      group: groupId(7),
      filter: '$share/g/t',
      queue: queueId(9),
      partition: 0,
      offset,
      message,
    },
  ]);
}

export const shared: SubscriptionState = subscriptionState('$share/g/t', 9, 2, { group: 7 });

export function only(presented: readonly PresentedSession[]): PresentedSession {
  assert.equal(presented.length, 1);
  return presented[0]!;
}

export function publishIds(client: FakeClient): number[] {
  return client.packets.flatMap((packet) =>
    packet.cmd === 'publish' ? [packet.messageId ?? 0] : [],
  );
}

export function texts(client: FakeClient): string[] {
  return client.packets.flatMap((packet) =>
    packet.cmd === 'publish' ? [packet.payload.toString()] : [],
  );
}
