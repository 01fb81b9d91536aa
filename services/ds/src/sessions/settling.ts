/** Puts of retained messages at QoS 0, of which a client hears nothing: those under way. */
export class Settling {
  #open = 0;
  #waiting: (() => void)[] = [];

  begin(): this {
    this.#open += 1;
    return this;
  }

  end(): void {
    this.#open -= 1;
    if (this.#open > 0) return;
    for (const settled of this.#waiting.splice(0)) settled();
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    if (this.#open > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
