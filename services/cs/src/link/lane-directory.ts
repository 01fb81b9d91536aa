import type { Directory, DsNode } from './directory.ts';

/** The directory as one lane sees it: the ds that it is to be attached to. */
export class LaneDirectory implements Directory {
  #node: DsNode;
  #listener: () => void = () => {};

  constructor(node: DsNode) {
    this.#node = node;
  }

  get at(): DsNode {
    return this.#node;
  }

  nodes(): readonly DsNode[] {
    return [this.#node];
  }

  onChange(listener: () => void): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = () => {};
    };
  }

  turnTo(node: DsNode): void {
    this.#node = node;
    this.#listener();
  }
}
