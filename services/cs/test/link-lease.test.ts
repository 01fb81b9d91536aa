import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lease } from '../src/link/lease.ts';
import { clockOfLink, WallOffset } from '../src/link/wall-offset.ts';

class HandClock {
  ms = 1000;

  nowMs(): number {
    return this.ms;
  }

  monotonicMs(): number {
    return this.ms;
  }
}

function attached(): { lease: Lease; clock: HandClock } {
  const clock = new HandClock();
  const lease = new Lease(clock);
  lease.opening();
  clock.ms += 10;
  lease.welcomed(300, false);
  lease.begin();
  return { lease, clock };
}

test('without a ds there is no lease', () => {
  assert.equal(new Lease(new HandClock()).ended, true);
});

test('the lease begins when ds has answered what was presented, and counts from the question', () => {
  const clock = new HandClock();
  const lease = new Lease(clock);
  lease.opening();
  clock.ms += 100;
  lease.welcomed(300, false);
  assert.equal(lease.ended, true);
  const number = lease.ask();
  clock.ms += 50;
  lease.answer(number);
  assert.equal(lease.ended, true);
  lease.begin();
  assert.equal(lease.endsMs, 1100 + 300);
});

test('an answer renews from the moment of its question, however late it is heard', () => {
  const { lease, clock } = attached();
  clock.ms = 1100;
  const number = lease.ask();
  clock.ms = 5000;
  assert.equal(lease.answer(number), 1100);
  assert.equal(lease.endsMs, 1400);
  assert.equal(lease.ended, true);
});

test('an answer to a question of an earlier stream renews nothing', () => {
  const { lease, clock } = attached();
  const stale = lease.ask();
  lease.opening();
  clock.ms += 100;
  assert.equal(lease.answer(stale), undefined);
  assert.equal(lease.endsMs, 1300);
});

test('an answer stands for all questions before it; the oldest open one says how long ds is silent', () => {
  const { lease, clock } = attached();
  lease.ask();
  clock.ms += 10;
  const second = lease.ask();
  clock.ms += 10;
  const third = lease.ask();
  assert.equal(lease.silentSinceMs, 1010);
  lease.answer(second);
  assert.equal(lease.silentSinceMs, 1030);
  lease.answer(third);
  assert.equal(lease.silentSinceMs, undefined);
});

test('a stream that is taken up again renews nothing until a question is answered', () => {
  const { lease, clock } = attached();
  clock.ms = 1200;
  lease.opening();
  clock.ms = 1250;
  lease.welcomed(300, true);
  assert.equal(lease.endsMs, 1300);
  lease.answer(lease.ask());
  assert.equal(lease.endsMs, 1550);
});

test('an answer that does not confirm the lease says that ds is there, and renews nothing', () => {
  const { lease, clock } = attached();
  clock.ms = 1200;
  const asked = lease.ask();
  assert.equal(lease.answer(asked, false), 1200);
  assert.equal(lease.silentSinceMs, undefined);
  assert.equal(lease.endsMs, 1300);
});

test('with another ds the old lease runs out unless what is presented is answered', () => {
  const { lease, clock } = attached();
  clock.ms = 1200;
  lease.opening();
  lease.welcomed(300, false);
  lease.answer(lease.ask());
  assert.equal(lease.endsMs, 1300);
  lease.begin();
  assert.equal(lease.endsMs, 1500);
});

test('the wall clock of ds: the quickest answer counts', () => {
  const offset = new WallOffset();
  assert.equal(offset.offsetMs, 0);
  offset.add(10_100, 10_000, 40);
  assert.equal(offset.offsetMs, 120);
  offset.add(20_104, 20_000, 2);
  assert.equal(offset.offsetMs, 105);
  offset.add(30_090, 30_000, 30);
  assert.equal(offset.offsetMs, 105);
  assert.equal(clockOfLink(new HandClock(), { wallOffsetMs: 105 }).nowMs(), 1105);
});

test('a wall clock that was set is believed at once', () => {
  const offset = new WallOffset();
  for (let round = 0; round < 8; round++) offset.add(1000, 1000, 1);
  offset.add(61_000, 1000, 20);
  assert.equal(offset.offsetMs, 60_010);
});
