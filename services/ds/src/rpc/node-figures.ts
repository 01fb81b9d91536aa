export type Figures = Readonly<Record<string, number>>;

/** Processes whose figures are told apart. */
const processesMax = 1024;

/**
 * Counts of cs nodes since their starts, added up over those that are attached and those that were:
 * a total does not fall because a node has gone.
 */
export class NodeFigures {
  /** The last word of each process, the one that was heard longest ago first. */
  readonly #byInstance = new Map<string, Figures>();
  readonly #earlier: Record<string, number> = {};

  told(instance: string, figures: Figures): void {
    this.#byInstance.delete(instance);
    this.#byInstance.set(instance, figures);
    if (this.#byInstance.size <= processesMax) return;
    for (const [oldest, last] of this.#byInstance) {
      add(this.#earlier, last);
      this.#byInstance.delete(oldest);
      return;
    }
  }

  totals(): Record<string, number> {
    const totals = { ...this.#earlier };
    for (const figures of this.#byInstance.values()) add(totals, figures);
    return totals;
  }
}

function add(totals: Record<string, number>, figures: Figures): void {
  for (const [name, count] of Object.entries(figures)) totals[name] = (totals[name] ?? 0) + count;
}
