// A ledger that is fed with a lie says so: otherwise the runs prove nothing.
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { LedgerConnection } from './ledger-connection.ts';
import { LedgerWills } from './ledger-wills.ts';
import { Ledger, type LedgerAccount, type LedgerFigures, type LedgerTopic } from './ledger.ts';
import { Random } from './random.ts';
import type { Qos } from '../harness/packets.ts';

const count = 5;

interface Books {
  readonly ledger: Ledger;
  readonly topic: LedgerTopic;
  readonly account: LedgerAccount;
}

function books(qos: Qos, granted: Qos): Books {
  const ledger = new Ledger();
  const topic = ledger.topic('t', qos);
  const account = ledger.account('subscriber', (name) => (name === 't' ? granted : undefined));
  return { ledger, topic, account };
}

function publish(topic: LedgerTopic): void {
  for (let number = 1; number <= count; number += 1) {
    topic.sent = number;
    if (topic.qos > 0) topic.acknowledged.add(number);
  }
}

/** After all was published, these arrived. */
function figuresOf({ ledger, topic, account }: Books, arrivals: readonly number[]): LedgerFigures {
  publish(topic);
  for (const number of arrivals) account.arrived('t', number);
  return ledger.figures();
}

interface Row {
  readonly name: string;
  readonly qos: Qos;
  readonly granted: Qos;
  readonly arrivals: readonly number[];
  readonly lost?: number;
  readonly doubled?: number;
  readonly repeated?: number;
  readonly problems: readonly RegExp[];
}

const rows: readonly Row[] = [
  { name: 'the truth', qos: 2, granted: 2, arrivals: [1, 2, 3, 4, 5], problems: [] },
  {
    name: 'one is lost',
    ...{ qos: 1, granted: 1, arrivals: [1, 2, 4, 5], lost: 1 },
    problems: [/t 3 is lost/],
  },
  {
    name: 'the last is lost',
    qos: 2,
    granted: 2,
    arrivals: [1, 2, 3, 4],
    lost: 1,
    problems: [/5/],
  },
  {
    name: 'one comes twice at QoS 2',
    ...{ qos: 2, granted: 2, arrivals: [1, 2, 3, 3, 4, 5], doubled: 1 },
    problems: [/t 3 came 2 times/],
  },
  {
    name: 'one comes twice where it may',
    ...{ qos: 2, granted: 1, arrivals: [1, 2, 3, 2, 3, 4, 5], repeated: 2 },
    problems: [],
  },
  {
    name: 'one comes twice at QoS 0',
    ...{ qos: 0, granted: 2, arrivals: [1, 1, 4], doubled: 1 },
    problems: [/t 1 came 2 times/],
  },
  {
    name: 'two change places',
    ...{ qos: 1, granted: 1, arrivals: [1, 3, 2, 4, 5] },
    problems: [/t 2 after 3/],
  },
  {
    name: 'one was never sent',
    ...{ qos: 2, granted: 2, arrivals: [1, 2, 3, 4, 5, 6] },
    problems: [/t 6 was never sent/],
  },
];

for (const { name, qos, granted, arrivals, problems, ...wanted } of rows) {
  void test(name, () => {
    const figures = figuresOf(books(qos, granted), arrivals);
    const { lost, doubled, repeated } = figures;
    assert.deepEqual({ lost, doubled, repeated }, { lost: 0, doubled: 0, repeated: 0, ...wanted });
    assert.equal(figures.problems.length, problems.length, figures.problems.join('\n'));
    for (const [index, problem] of problems.entries()) {
      assert.match(figures.problems[index] ?? '', problem);
    }
  });
}

void test('a session that began later, and one that ended, are owed what lies between', () => {
  const { ledger, topic } = books(1, 0);
  const late = ledger.account('late', () => 1);
  late.later();
  topic.sent = 2;
  late.begin([topic]);
  publish(topic);
  assert.equal(ledger.owed(), 3);
  late.arrived('t', 3);
  late.arrived('t', 5);
  assert.match(ledger.figures().problems.join(), /late: t 4 is lost/);
  late.end();
  assert.equal(ledger.owed(), 1, 'a hole is a loss also when the session has ended');
  const gone = ledger.account('gone', () => 1);
  gone.arrived('t', 1);
  gone.arrived('t', 2);
  gone.end();
  assert.equal(ledger.owed(undefined, [gone]), 0, 'nothing was owed after what came last');
});

void test('wills that stay away, come twice, or were never made', () => {
  const ledger = new Ledger();
  const wills = new LedgerWills(ledger, new Random(1));
  const ended = new LedgerConnection(new Socket(), 4, () => {});
  const open = new LedgerConnection(new Socket(), 4, () => {});
  for (let number = 1; number <= 3; number += 1) wills.make().owe(ended);
  wills.make().owe(open);
  wills.make().owe(open);
  ended.destroy();
  for (const payload of ['1', '3', '3', '4', '7']) wills.arrived(payload);
  assert.equal(wills.missing, 1);
  assert.deepEqual(wills.early, [4]);
  wills.settle();
  assert.deepEqual(ledger.problems, [
    'will 2 did not come',
    'will 3 came 2 times',
    'will 7 was never made',
  ]);
});

void test('what is settled is forgotten, but for what comes of it once more', () => {
  const ledger = new Ledger();
  const topic = ledger.topic('t', 2);
  const account = ledger.account('subscriber', () => 2);
  publish(topic);
  topic.acknowledged.delete(3);
  for (const number of [1, 2, 4]) account.arrived('t', number);
  assert.deepEqual(pick(ledger.settle()), { acknowledged: 4, lost: 1, doubled: 0 });
  topic.sent = 6;
  topic.acknowledged.add(6);
  account.arrived('t', 6);
  assert.deepEqual(pick(ledger.settle()), { acknowledged: 5, lost: 1, doubled: 0 });
  account.arrived('t', 3);
  account.arrived('t', 4);
  const figures = ledger.figures();
  assert.deepEqual(pick(figures), { acknowledged: 5, lost: 1, doubled: 1 });
  assert.equal(figures.problems.length, 3, 'lost, doubled, and 3 after 6');
});

function pick({ acknowledged, lost, doubled }: LedgerFigures): Partial<LedgerFigures> {
  return { acknowledged, lost, doubled };
}
