import { Redis } from 'ioredis';
import type { Client } from '@lmqtt/redis/client';

interface Corkable {
  cork(): void;
  uncork(): void;
}

/** Holds what a turn of the event loop sends back until its end: one write for each connection. */
export class OneWrite {
  readonly #client: Client;
  #corked: Corkable[] | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Before each command. */
  begin(): void {
    if (this.#corked !== undefined) return;
    const corked: Corkable[] = [];
    for (const node of nodesOf(this.#client)) {
      // Undefined before the first connection, whatever the type says.
      const stream: Corkable | undefined = node.stream;
      if (stream === undefined) continue;
      stream.cork();
      corked.push(stream);
    }
    this.#corked = corked;
    setImmediate(() => {
      this.#corked = undefined;
      for (const stream of corked) stream.uncork();
    });
  }
}

/** The servers that commands go to: one, or the masters of a Redis Cluster. */
export function nodesOf(client: Client): Redis[] {
  return client instanceof Redis ? [client] : client.nodes('master');
}
