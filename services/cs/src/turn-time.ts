import type { Clock } from '@lmqtt/common/clock';

/** The time as of this turn: the clocks are read once for all that asks in one turn. */
export class TurnTime {
  private readonly clock: Clock;
  private wall = 0;
  private monotonic = 0;
  private fresh = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get wallMs(): number {
    if (!this.fresh) this.look();
    return this.wall;
  }

  get monotonicMs(): number {
    if (!this.fresh) this.look();
    return this.monotonic;
  }

  private look(): void {
    this.fresh = true;
    this.wall = this.clock.nowMs();
    this.monotonic = this.clock.monotonicMs();
    setImmediate(this.newTurn);
  }

  private readonly newTurn = (): void => {
    this.fresh = false;
  };
}
