// Answers of scripts, as the types that are meant.
import type { Reply } from '../../redis/connection.ts';

export function listOf(reply: Reply | undefined): Reply[] {
  if (Array.isArray(reply)) return reply;
  throw new Error('the registry has answered with something else than a list');
}

export function textOf(reply: Reply | undefined): string {
  return reply === undefined || reply === null ? '' : reply.toString();
}

/** A ds, as a barrier sees it. */
export interface AliveDs {
  readonly id: string;
  /** Number up to which it has applied the log; undefined: it serves nobody. */
  readonly applied: number | undefined;
  /** The life of the registry for which it has told what it holds. */
  readonly restored: string;
}

export function aliveOf(reply: Reply | undefined): AliveDs[] {
  const list = listOf(reply);
  const alive: AliveDs[] = [];
  for (let at = 0; at < list.length; at += 3) {
    const applied = textOf(list[at + 1]);
    alive.push({
      id: textOf(list[at]),
      applied: applied === '' ? undefined : Number(applied),
      restored: textOf(list[at + 2]),
    });
  }
  return alive;
}
