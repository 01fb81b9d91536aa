import type { PresentedSession } from '@lmqtt/proto/link';
import type { UpstreamHandler } from '@lmqtt/proto/wire/upstream';
import { WireError } from '@lmqtt/proto/wire/wire-error';

/** A cs before it is admitted: it presents its sessions, and says nothing else until it is. */
export class PresentingHandler implements UpstreamHandler {
  readonly #sessions: PresentedSession[] = [];
  readonly #all: (sessions: PresentedSession[]) => void;
  #ended = false;

  constructor(all: (sessions: PresentedSession[]) => void) {
    this.#all = all;
  }

  presents(sessions: PresentedSession[], last: boolean): void {
    if (this.#ended) throw new WireError('sessions after the last');
    for (const session of sessions) this.#sessions.push(session);
    if (!last) return;
    this.#ended = true;
    this.#all(this.#sessions);
  }

  clientOf(): undefined {
    return undefined;
  }

  publishes(): void {
    tooEarly();
  }

  writes(): void {
    tooEarly();
  }

  credit(): void {
    tooEarly();
  }

  call(): void {
    tooEarly();
  }

  read(): void {
    tooEarly();
  }
}

function tooEarly(): never {
  throw new WireError('something else before the sessions were answered');
}
