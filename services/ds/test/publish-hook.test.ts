// onPublish between the link and the publisher: order, turns, room, failures.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Publish } from '@lmqtt/proto/link';
import { HookCalls } from '../src/hooks/hook-calls.ts';
import type { HookPublish, PublishVerdict } from '../src/hooks/hooks.ts';
import type { LiveSession } from '../src/sessions/live-session.ts';
import { PublishHook } from '../src/use-cases/publish-hook.ts';
import { turns } from './moved-clock.ts';
import { access, PublisherFixture, publishOf } from './publisher-fixture.ts';

interface Opened {
  readonly fixture: PublisherFixture;
  readonly hook: PublishHook;
  readonly calls: HookCalls;
  /** Payloads that went on, with the reason code of those that were refused. */
  readonly went: string[];
  readonly counted: Map<string, number>;
}

interface Limits {
  readonly atOnce?: number;
  readonly waitingBytesMax?: number;
  readonly passesFailures?: boolean;
}

function open(
  onPublish: (message: HookPublish) => PublishVerdict | Promise<PublishVerdict>,
  limits: Limits = {},
): Opened {
  const { atOnce = 1000, waitingBytesMax = 1e9, passesFailures = false } = limits;
  const fixture = new PublisherFixture();
  const went: string[] = [];
  const counted = new Map<string, number>();
  const calls = new HookCalls(
    { onPublish },
    {
      ...{ timeoutMs: 60_000, atOnce, failed: () => {}, onFull: () => {} },
      counted: (_hook, outcome) => counted.set(outcome, (counted.get(outcome) ?? 0) + 1),
    },
  );
  const options = {
    ...{ calls, onPublish, access, passesFailures, waitingBytesMax },
    ...{ topicLevelsMax: 100, payloadBytesMax: 1000, onWaitingFull: () => {} },
  };
  const hook = new PublishHook(options, {
    publish: (_node, batch) => went.push(...batch.map((each) => String(each.message.payload))),
    refuse: (_node, _session, { message, reasonCode }) =>
      went.push(`${String(message.payload)} refused ${reasonCode}`),
  });
  return { fixture, hook, calls, went, counted };
}

function publishes(session: LiveSession, count: number, first = 1): Publish[] {
  return Array.from({ length: count }, (_, at) => publishOf(session, first + at, 1));
}

const numbers = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => String(at + 1));

/** Until so many have gone on. */
async function untilWent(went: readonly string[], count: number): Promise<void> {
  while (went.length < count) await turns(1);
}

describe('onPublish', () => {
  it('keeps the order of a client, however many wait for a turn and however long each takes', async () => {
    let underWay = 0;
    let most = 0;
    const { fixture, hook, calls, went } = open(
      async ({ payload }) => {
        underWay += 1;
        most = Math.max(most, underWay);
        await turns((Number(String(payload)) * 7) % 5);
        underWay -= 1;
      },
      { atOnce: 3 },
    );
    const session = fixture.session('a', 5);
    hook.publish(fixture.node, publishes(session, 200));
    hook.publish(fixture.node, publishes(session, 100, 201));
    await untilWent(went, 300);
    assert.deepEqual(went, numbers(300));
    assert.equal(most, 3);
    assert.deepEqual([calls.underWay, hook.waitingBytes], [0, 0]);
  });

  it('holds up nobody but its own client', async () => {
    let free: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (free = resolve));
    const { fixture, hook, went } = open(({ clientid }) => (clientid === 'slow' ? held : true));
    const [slow, quick] = [fixture.session('slow', 5), fixture.session('quick', 5)];
    hook.publish(fixture.node, [...publishes(slow, 2), ...publishes(quick, 2, 11)]);
    assert.deepEqual(went, ['11', '12']);
    free();
    await untilWent(went, 4);
    assert.deepEqual(went.slice(2), ['1', '2']);
  });

  it('refuses behind what waits where it has no room, and counts a hook that has begun', async () => {
    const frees: (() => void)[] = [];
    const { fixture, hook, calls, went, counted } = open(
      () => new Promise<void>((resolve) => frees.push(resolve)),
      { waitingBytesMax: 8 * 300 },
    );
    const session = fixture.session('a', 5);
    hook.publish(fixture.node, publishes(session, 2));
    assert.deepEqual([frees.length, went.length], [1, 0]);
    const large = publishOf(fixture.session('b', 5), 9, 1, { topic: 'x'.repeat(400) });
    hook.publish(fixture.node, [large]);
    assert.deepEqual(went, ['9 refused 151']);
    assert.equal(calls.underWay, 2);
    for (const free of frees) free();
    await untilWent(went, 3);
    assert.deepEqual(went.slice(1), ['1', '2 refused 151']);
    assert.deepEqual([calls.underWay, hook.waitingBytes], [0, 0]);
    assert.equal(counted.get('full'), 2);
  });

  it('that fails refuses with 0x83, or lets the message pass', async () => {
    for (const passesFailures of [false, true]) {
      const { fixture, hook, went, counted } = open(
        ({ payload }) => {
          if (String(payload) === '1') throw new Error('at once');
          return Promise.reject(new Error('later'));
        },
        { passesFailures },
      );
      hook.publish(fixture.node, publishes(fixture.session('a', 5), 2));
      await untilWent(went, 2);
      assert.deepEqual(went, passesFailures ? ['1', '2'] : ['1 refused 131', '2 refused 131']);
      assert.equal(counted.get('failed'), 2);
    }
  });
});
