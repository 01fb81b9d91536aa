// The budget of hooks: how long each may take, how many are under way, and what is said of those
// that fail. Time is moved by the test.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { HookCalls, isPromise, noAnswer } from '../src/hooks/hook-calls.ts';
import { MovedClock, turns } from './moved-clock.ts';

interface Opened {
  readonly calls: HookCalls;
  readonly clock: MovedClock;
  readonly told: string[];
}

const timeoutMs = 1000;

function open(t: TestContext, atOnce = 100): Opened {
  const clock = MovedClock.holding(t);
  const told: string[] = [];
  const calls = new HookCalls(
    {},
    {
      ...{ timeoutMs, atOnce, clock },
      counted: (hook, outcome) => told.push(`${hook} ${outcome}`),
      failed: (_hook, problem) => told.push(problem),
      onFull: () => told.push('full'),
    },
  );
  return { calls, clock, told };
}

const never = (): Promise<string> => new Promise(() => undefined);

describe('HookCalls', () => {
  it('gives what a hook says at once, or later', async (t) => {
    const { calls, told } = open(t);
    assert.equal(
      calls.ask('onPublish', () => 'now'),
      'now',
    );
    assert.equal(calls.underWay, 0);
    const later = calls.ask('onPublish', () => Promise.resolve('later'));
    assert.ok(isPromise(later));
    assert.equal(calls.underWay, 1);
    assert.equal(await later, 'later');
    assert.equal(calls.underWay, 0);
    assert.deepEqual(told, []);
  });

  it('ends each that takes too long, at its own time, and counts what comes too late once', async (t) => {
    const { calls, clock, told } = open(t);
    const answers: unknown[] = [];
    let answerLate: (said: string) => void = () => undefined;
    const late = new Promise<string>((resolve) => (answerLate = resolve));
    calls.follow('onPublish', late, (answer) => answers.push(['first', answer]));
    await clock.move(400);
    calls.follow('onPublish', never(), (answer) => answers.push(['second', answer]));
    await clock.move(500);
    calls.follow('onPublish', Promise.resolve('x'), (answer) => answers.push(['third', answer]));
    await clock.move(99);
    assert.deepEqual(answers, [['third', 'x']]);
    await clock.move(2);
    assert.deepEqual(answers.slice(1), [['first', noAnswer]]);
    answerLate('too late');
    await clock.move(398);
    assert.equal(answers.length, 2, 'the second has its whole time');
    await clock.move(2);
    assert.deepEqual(answers.slice(2), [['second', noAnswer]]);
    assert.equal(calls.underWay, 0);
    const line = ['onPublish late', 'no answer in 1000 ms'];
    assert.deepEqual(told, [...line, ...line]);
  });

  it('gives one that begins when another is late its whole time', async (t) => {
    const { calls, clock } = open(t, 2);
    const late: string[] = [];
    calls.onFreed(() => {
      if (late.length === 1) calls.follow('onPublish', never(), () => late.push('third'));
    });
    calls.follow('onPublish', never(), () => late.push('first'));
    await clock.move(300);
    calls.follow('onPublish', never(), () => late.push('second'));
    assert.equal(calls.isFull, true);
    await clock.move(700);
    assert.deepEqual(late, ['first']);
    await clock.move(299);
    assert.deepEqual(late, ['first']);
    await clock.move(1);
    assert.deepEqual(late, ['first', 'second']);
    await clock.move(700);
    assert.deepEqual(late, ['first', 'second', 'third']);
  });

  it('takes a promise of any kind, and tells of what throws or rejects', async (t) => {
    const { calls, told } = open(t);
    const [foreign, broken] = [{}, {}];
    Reflect.set(foreign, 'then', (resolve: (said: string) => void) => resolve('foreign'));
    Reflect.set(broken, 'then', () => {
      throw new Error('no promise at all');
    });
    assert.equal(await calls.ask<unknown>('onPublish', () => foreign), 'foreign');
    assert.equal(await calls.ask<unknown>('onPublish', () => broken), noAnswer);
    const rejected = calls.ask('onPublish', () => Promise.reject(new Error('rejected')));
    assert.equal(await rejected, noAnswer);
    const thrown = calls.ask('onPublish', () => {
      throw new Error('thrown');
    });
    assert.equal(thrown, noAnswer);
    assert.equal(calls.underWay, 0);
    assert.deepEqual(
      told.filter((line) => line !== 'onPublish failed'),
      ['no promise at all', 'rejected', 'thrown'],
    );
  });

  it('sets one timer for any number of hooks', async (t) => {
    const { calls, clock } = open(t, 10_000);
    const timers = globalThis.setTimeout;
    let set = 0;
    t.mock.method(globalThis, 'setTimeout', (callback: () => void, ms?: number) => {
      set += 1;
      return timers(callback, ms);
    });
    let answered = 0;
    for (let count = 0; count < 1000; count += 1)
      calls.follow('onPublish', Promise.resolve(count), () => (answered += 1));
    await turns();
    await clock.move(timeoutMs * 3);
    assert.equal(answered, 1000);
    assert.equal(set, 1);
  });
});
