import type { NodeId } from '@lmqtt/common/ids';
import type { Message } from '@lmqtt/common/message';
import type { Assignment, GroupFence } from '@lmqtt/proto/assignment';
import type { Downstream } from '@lmqtt/proto/link';

/** Messages and events for one cs node, gathered until the end of the call that makes it. */
export class Outlet {
  readonly id: NodeId;
  readonly downstream: Downstream;
  #pushing: Message[] = [];
  #assigning: Assignment[] = [];

  constructor(downstream: Downstream) {
    this.id = downstream.node;
    this.downstream = downstream;
  }

  /** Once for each message, however many of its queues the node wants. */
  push(message: Message): void {
    const pushing = this.#pushing;
    if (pushing.length === 0 || pushing[pushing.length - 1] !== message) pushing.push(message);
  }

  assign(assignment: Assignment): void {
    this.#assigning.push(assignment);
  }

  /** At once, behind what was assigned. */
  fence(fence: GroupFence): void {
    this.flush();
    this.downstream.fence(fence);
  }

  flush(): void {
    if (this.#pushing.length > 0) {
      const batch = this.#pushing;
      this.#pushing = [];
      this.downstream.push(batch);
    }
    if (this.#assigning.length > 0) {
      const batch = this.#assigning;
      this.#assigning = [];
      this.downstream.assign(batch);
    }
  }
}
