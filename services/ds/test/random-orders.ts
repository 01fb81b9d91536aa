// How properties of machines are searched: random orders of what may happen to them, each from a
// machine of its own. The same orders each time, so that a run can be repeated: SEED=2 in the
// environment searches others, SEED=any whatever comes, ORDERS=5000 longer.
import fc from 'fast-check';
import { MovedClock } from './moved-clock.ts';

const ordersCount = 150;
/** Also of making a failing order shorter. */
const searchMsMax = 20_000;

/** `run`: with a clock that holds the timers of the process meanwhile. */
export async function inAnyOrder<Step>(
  step: fc.Arbitrary<Step>,
  stepsMax: number,
  run: (steps: readonly Step[], clock: MovedClock) => Promise<void>,
  count: number = ordersCount,
): Promise<void> {
  const { ORDERS: orders = count, SEED: seed = '1' } = process.env;
  const one = async (steps: readonly Step[]): Promise<void> => {
    const clock = new MovedClock();
    const release = clock.hold();
    try {
      await run(steps, clock);
    } finally {
      release();
    }
  };
  let last: Promise<void> = Promise.resolve();
  const search = fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: stepsMax, size: 'max' }), (steps) => {
      last = one(steps);
      return last;
    }),
    {
      numRuns: Number(orders),
      includeErrorInReport: true,
      interruptAfterTimeLimit: searchMsMax,
      ...(seed === 'any' ? {} : { seed: Number(seed) }),
    },
  );
  // The search does not wait for the order that its time limit interrupts.
  try {
    await search;
  } finally {
    await last.catch(() => undefined);
  }
}
