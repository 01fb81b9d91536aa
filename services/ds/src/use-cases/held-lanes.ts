// QoS 2 publishes that cannot go to the store yet, since one of their session's earlier connections
// may have stored the first of them: it waits until that is known, and what the session publishes
// to the topic after it waits behind it [MQTT-4.6.0-2].

interface HeldAppend {
  readonly lane: string;
}

/** `waits`: nothing is known yet. `over`: it is stored, and need not go. */
type Fate = 'waits' | 'goes' | 'over';

interface Held<A> {
  readonly append: A;
  fate: Fate;
}

export class HeldLanes<A extends HeldAppend> {
  readonly #lanes = new Map<string, Held<A>[]>();
  readonly #release: (appends: A[]) => void;

  /** `release`: in their order, to the store. */
  constructor(release: (appends: A[]) => void) {
    this.#release = release;
  }

  has(lane: string): boolean {
    return this.#lanes.size > 0 && this.#lanes.has(lane);
  }

  /** Behind what is held of its lane. */
  follow(append: A): void {
    this.#add(append, 'goes');
  }

  /** Until the function that is returned is called, once. */
  hold(append: A): (fate: 'goes' | 'over') => void {
    const held = this.#add(append, 'waits');
    return (fate) => {
      held.fate = fate;
      this.#drain(append.lane);
    };
  }

  #add(append: A, fate: Fate): Held<A> {
    const held: Held<A> = { append, fate };
    const lane = this.#lanes.get(append.lane);
    if (lane === undefined) this.#lanes.set(append.lane, [held]);
    else lane.push(held);
    return held;
  }

  #drain(name: string): void {
    const lane = this.#lanes.get(name);
    if (lane === undefined) return;
    const first = lane.findIndex(({ fate }) => fate === 'waits');
    const known = lane.splice(0, first === -1 ? lane.length : first);
    if (lane.length === 0) this.#lanes.delete(name);
    const going = known.filter(({ fate }) => fate === 'goes');
    if (going.length > 0) this.#release(going.map(({ append }) => append));
  }
}
