import type { NodeId } from '@lmqtt/common/ids';

/**
 * The lanes of cs nodes that wait when a ds joins, until each cs of the cluster has come, or for a
 * time. They are taken in together: a message at QoS 0 that one cs publishes through this ds would
 * not reach the subscribers of another cs that has no lane here yet.
 */
export class FirstLanes {
  /** Undefined until the ds has joined. */
  #missing: Set<NodeId> | undefined = undefined;
  readonly #came = new Set<NodeId>();
  readonly #opened: Promise<void>;
  #open: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #isOpen = false;

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  /** Cs nodes are still waited for. */
  get waits(): boolean {
    return !this.#isOpen;
  }

  /** The ds has joined, and these cs nodes are alive. */
  begin(cs: Iterable<NodeId>, waitMs: number): void {
    this.#missing = new Set(cs);
    for (const id of this.#came) this.#missing.delete(id);
    this.#timer = setTimeout(() => this.#all(), waitMs).unref();
    this.#look();
  }

  /** A lane of that cs is here. Resolves when it may be taken in. */
  came(cs: NodeId): Promise<void> {
    if (!this.#isOpen) {
      this.#came.add(cs);
      this.gone(cs);
    }
    return this.#opened;
  }

  /** The cs is not waited for any more. */
  gone(cs: NodeId): void {
    this.#missing?.delete(cs);
    this.#look();
  }

  #look(): void {
    if (this.#missing?.size === 0) this.#all();
  }

  #all(): void {
    clearTimeout(this.#timer);
    this.#isOpen = true;
    this.#open();
  }
}
