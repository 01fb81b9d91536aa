// A session's fields in Redis, read at once or over some turns.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientId } from '@lmqtt/common/ids';
import { portionMax } from '@lmqtt/common/in-portions';
import { sessionOfRecord, sessionOverTurns } from '../src/session-store/redis/fields.ts';
import { countTurns } from './turns.ts';

const id = clientId('a');

/** The answer of HGETALL for a session with so many subscriptions. */
function recordOf(subscriptions: number): string[] {
  const record = ['E', '7', 'M', '5', 'X', '3600', 'C', '1', 'U', '+user'];
  for (let index = 0; index < subscriptions; index++) {
    const filter = `f/${index}`;
    const queue = (index + 1).toString(36);
    record.push(`s${filter}`, `1 0 - ${queue} - -`, `c${filter}`, `0 0 ${queue}`);
  }
  record.push('o3', `1 s 1 q 1 0 0\0f/0`, 'i9', '');
  record.push('j4', JSON.stringify(['key', 'topic', 'broker', 0, 1]));
  record.push('j5', JSON.stringify(['key', 'topic', 'broker', 1, 2]));
  return record;
}

test('a session of many subscriptions is read over turns, and is the same', async () => {
  const subscriptions = 20 * portionMax;
  const record = recordOf(subscriptions);
  const reading = sessionOverTurns(id, record);
  assert.ok(reading instanceof Promise);
  const { result: session, turns } = await countTurns(reading);
  const atOnce = sessionOfRecord(id, record);
  assert.ok(session !== undefined && atOnce !== undefined);
  assert.deepEqual(session.state(), atOnce.state());
  assert.deepEqual(session.intents, atOnce.intents);
  assert.equal(session.intents.length, 2);
  assert.equal(session.subscriptions.length, subscriptions);
  assert.equal(session.user, 'user');
  // The work of a portion is at most that of so many fields; each subscription has two.
  assert.ok(turns > subscriptions / portionMax, `${turns} turns`);
});

test('a session of few fields is read at once', () => {
  const reading = sessionOverTurns(id, recordOf(10));
  assert.ok(!(reading instanceof Promise));
  assert.equal(reading?.subscriptions.length, 10);
});

test('no session is read of no fields, few or many', async () => {
  assert.equal(sessionOverTurns(id, []), undefined);
  const others = Array.from({ length: 10 * portionMax }, (_, index) => String(index));
  assert.equal(await sessionOverTurns(id, others), undefined);
});
