// The states of a member as its owner knows it: which may follow which, as the head of the source says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientId, nodeId, sessionHandle } from '@lmqtt/common/ids';
import type { Join } from '../src/cluster/groups/messages.ts';
import { OwnedMember, type OwnedMemberState } from '../src/cluster/groups/owned-member.ts';
import { Outlet } from '../src/routing/outlet.ts';
import { FakeCs } from './fake-cs.ts';
import { group } from './group-members.ts';

type Kind = OwnedMemberState['kind'];

const mayFollow: Readonly<Record<Kind, readonly Kind[]>> = {
  'in doubt': ['absent', 'joined'],
  absent: ['joined'],
  joined: ['in doubt', 'absent', 'joined', 'fenced', 'seated'],
  fenced: ['in doubt', 'absent', 'joined', 'fenced', 'seated'],
  seated: ['in doubt', 'absent', 'joined'],
};

const [home, other] = [nodeId('ds-1'), nodeId('ds-2')];
const [one, another] = [new Outlet(new FakeCs('one')), new Outlet(new FakeCs('another'))];
const client = clientId('c');

function joinOf(epoch: number): Join {
  return {
    ...{ kind: 'join', group, client, epoch, cs: nodeId('one'), handle: sessionHandle(epoch) },
    ...{ filter: '$share/g/t', fresh: true, credit: 5, outs: [] },
  };
}

const happenings: Readonly<Record<string, (member: OwnedMember, nowMs: number) => void>> = {
  joined: (member, nowMs) => member.joined(home, joinOf(member.epoch + 1), nowMs),
  stale: (member) => member.stale(),
  'sit by one': (member) => member.sit(one, 5),
  'sit by another': (member) => member.sit(another, 5),
  'reached by one': (member) => member.reachedBy(one),
  'not reached': (member) => member.reachedBy(undefined),
  fence: (member, nowMs) => void member.fence(one, nowMs, nowMs),
  'answered elsewhere': (member, nowMs) => void member.answered(other, nowMs - 1),
  credit: (member) => member.credit(9),
  unknown: (member, nowMs) => member.unknown(nowMs, (sinceMs) => nowMs - sinceMs > 2),
  doubt: (member) => member.doubt(),
  // Only of one that is connected, or in doubt.
  absent: (member) => {
    if (member.state.kind !== 'absent') member.absent([]);
  },
};

void test('whatever happens to a member, only that follows which may', () => {
  const names = fc.array(fc.constantFrom(...Object.keys(happenings)), {
    maxLength: 60,
    size: 'max',
  });
  fc.assert(
    fc.property(names, (all) => {
      const member = new OwnedMember(client, 1);
      for (const [nowMs, name] of all.entries()) {
        const before = member.state;
        happenings[name]!(member, nowMs + 10);
        const { state } = member;
        if (state === before) continue;
        const isSame = before.kind === 'in doubt' && state.kind === 'in doubt';
        // It moved to another home, or how long it is unknown is counted.
        if (isSame || (name === 'answered elsewhere' && state.kind === 'fenced')) continue;
        assert.ok(mayFollow[before.kind].includes(state.kind), `${before.kind}, ${state.kind}`);
        assert.equal(member.seat !== undefined, state.kind === 'seated');
        assert.equal(member.home !== undefined, 'living' in state);
      }
    }),
    { numRuns: 300 },
  );
});

void test('an answer counts for the fence that was sent last, by whichever home it comes', () => {
  const member = new OwnedMember(client, 1);
  member.joined(home, joinOf(1), 0);
  assert.equal(member.fence(one, 2, 0), sessionHandle(1));
  member.fence(another, 3, 1000);
  assert.equal(member.answered(home, 2), undefined);
  assert.equal(member.answered(other, 3), another);
  assert.equal(member.home, other);
  member.sit(another, 5);
  assert.equal(member.seat?.fence, 3);
  assert.equal(member.answered(home, 3), undefined);
});

void test('a seat is lost with the stream by which it was taken, and its credit with it', () => {
  const member = new OwnedMember(client, 1);
  member.joined(home, joinOf(1), 0);
  member.sit(one, 5);
  member.credit(7);
  assert.equal(member.seat?.givenMax, 7);
  member.reachedBy(one);
  assert.notEqual(member.seat, undefined);
  member.reachedBy(another);
  assert.equal(member.seat, undefined);
  assert.equal(member.isUnfenced, true);
  member.credit(9);
  assert.equal(member.seat, undefined);
});
