import type { SessionHandle } from '@lmqtt/common/ids';
import type { Lane } from './lane.ts';

interface OfSession {
  readonly session: SessionHandle;
}

/** Parts of a batch by lane, in their order; undefined: no lane, the session is over. */
type LaneParts<T> = Map<Lane | undefined, T[]>;

/** The lane that all of a batch go by; undefined where there is not one for all. */
export function laneOfAll(
  batch: readonly OfSession[],
  lanes: ReadonlyMap<SessionHandle, Lane>,
): Lane | undefined {
  const first = batch[0];
  const lane = first && lanes.get(first.session);
  if (lane === undefined) return undefined;
  let { session } = first!;
  for (let index = 1; index < batch.length; index++) {
    const next = batch[index]!.session;
    // Writes of one session come one after another, more often than not.
    if (next === session) continue;
    session = next;
    if (lanes.get(session) !== lane) return undefined;
  }
  return lane;
}

export function partsOf<T extends OfSession>(
  batch: readonly T[],
  lanes: ReadonlyMap<SessionHandle, Lane>,
): LaneParts<T> {
  const parts: LaneParts<T> = new Map();
  for (const each of batch) {
    const lane = lanes.get(each.session);
    const part = parts.get(lane);
    if (part === undefined) parts.set(lane, [each]);
    else part.push(each);
  }
  return parts;
}

/**
 * One callback for the parts of a batch: it comes when each part is durable or fenced, and not all
 * of them are fenced.
 */
export class SharedDurable {
  #left: number;
  #stored = false;
  readonly #tell: () => void;

  constructor(parts: number, tell: () => void) {
    this.#left = parts;
    this.#tell = tell;
  }

  readonly durable = (): void => {
    this.#stored = true;
    this.fenced();
  };

  readonly fenced = (): void => {
    this.#left -= 1;
    if (this.#left === 0 && this.#stored) this.#tell();
  };
}
