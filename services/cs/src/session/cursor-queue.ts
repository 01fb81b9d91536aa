import type { SessionCursor } from './cursor.ts';

/**
 * Cursors of a session that may have something, first in, first out. Each is linked to the one
 * behind it, so that a session holds no list for its one cursor. A cursor is in it once at most.
 */
export class CursorQueue {
  first: SessionCursor | undefined = undefined;
  #last: SessionCursor | undefined = undefined;
  length = 0;

  push(cursor: SessionCursor): void {
    if (this.#last === undefined) this.first = cursor;
    else this.#last.behind = cursor;
    this.#last = cursor;
    this.length += 1;
  }

  shift(): void {
    const { first } = this;
    if (first === undefined) return;
    this.first = first.behind;
    first.behind = undefined;
    if (this.first === undefined) this.#last = undefined;
    this.length -= 1;
  }
}
