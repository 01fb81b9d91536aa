// Places of an MQTT topic over time, as placements and moves of first levels have it.
import { pickPlace, type Place } from '../../rocketmq/mapping/place.ts';
import { firstLevel } from '../../rocketmq/mapping/topic-mapping.ts';
import type { Move, Placements } from './placements.ts';

/** The RocketMQ topic of an MQTT topic when it was first used. */
export interface Home {
  readonly topic: string;
  /** A setting says so: it is not recorded, and does not move. */
  readonly byRule: boolean;
}

/** A time in which an MQTT topic was in one RocketMQ topic. */
interface Stay {
  readonly topic: string;
  /** Number of the move that began it; −1: none. */
  readonly number: number;
  readonly move: Move | undefined;
}

export interface PlaceInTopic extends Place {
  readonly topic: string;
}

/** A place of an MQTT topic, from a time on. */
export interface Placed extends PlaceInTopic {
  /** The first placement, or the move, since which it is there without a break. */
  readonly number: number;
  /** Time at which that took effect, wall clock. */
  readonly sinceMs: number;
}

export interface Nearest extends Placed {
  /** Whether nothing has moved it since, as far as is known. */
  readonly isLatest: boolean;
}

export class PlaceHistory {
  readonly #placements: Pick<Placements, 'of' | 'movesOf'>;
  readonly #detourOf: (mqttTopic: string) => Place | undefined;

  /** `detourOf`: where an MQTT topic is as long as there is that place. */
  constructor(
    placements: Pick<Placements, 'of' | 'movesOf'>,
    detourOf: (mqttTopic: string) => Place | undefined = () => undefined,
  ) {
    this.#placements = placements;
    this.#detourOf = detourOf;
  }

  /** Place of the topic at that time, wall clock. */
  at(mqttTopic: string, home: Home, atMs: number): Placed | undefined {
    const { topic, number: movedAt, move } = this.stays(mqttTopic, home, atMs).at(-1)!;
    const inForce = this.#placements.of(topic).filter(({ fromMs }) => fromMs <= atMs);
    const latest = inForce.at(-1);
    const detour = this.#detourOf(mqttTopic);
    const pick = (queues: Readonly<Record<string, number>>): Place | undefined => {
      const places = placesIn(queues, move);
      return places.find((each) => isSame(each, detour)) ?? pickPlace(mqttTopic, places);
    };
    const place = latest === undefined ? undefined : pick(latest.queues);
    if (latest === undefined || place === undefined) return undefined;
    let { number, fromMs } = latest;
    for (const earlier of inForce.toReversed()) {
      if (!isSame(place, pick(earlier.queues))) break;
      ({ number, fromMs } = earlier);
    }
    const sinceMs = Math.max(fromMs, move?.fromMs ?? 0);
    return { ...place, topic, number: Math.max(number, movedAt), sinceMs };
  }

  /** Place that the topic would have if only those brokers were there. */
  instead(
    mqttTopic: string,
    home: Home,
    atMs: number,
    isThere: (broker: string) => boolean,
  ): PlaceInTopic | undefined {
    const { topic, move } = this.stays(mqttTopic, home, atMs).at(-1)!;
    const latest = this.#placements
      .of(topic)
      .filter(({ fromMs }) => fromMs <= atMs)
      .at(-1);
    const places = placesIn(latest?.queues ?? {}, move).filter(({ broker }) => isThere(broker));
    const place = pickPlace(mqttTopic, places);
    return place === undefined ? undefined : { ...place, topic };
  }

  /** Stays in the order of time; those that are to begin after `nowMs` are left out. */
  stays(mqttTopic: string, home: Home, nowMs: number): Stay[] {
    const moves = home.byRule ? [] : this.#placements.movesOf(firstLevel(mqttTopic));
    const begun = moves.filter(({ fromMs }) => fromMs <= nowMs);
    return [
      { topic: home.topic, number: -1, move: undefined },
      ...begun.map((move) => ({ topic: move.topic, number: move.number, move })),
    ];
  }

  /**
   * The time at that place that has `storedMs`, or is nearest to it, since clocks differ. The last
   * of all is the usual one.
   */
  nearest(
    mqttTopic: string,
    home: Home,
    found: PlaceInTopic,
    storedMs: number,
  ): Nearest | undefined {
    let later: Nearest | undefined;
    let untilMs = Infinity;
    for (;;) {
      const placed = this.at(mqttTopic, home, untilMs === Infinity ? untilMs : untilMs - 1);
      if (placed === undefined) return later;
      const { sinceMs } = placed;
      if (isAt(placed, found)) {
        const isNearer = later === undefined || storedMs - untilMs < later.sinceMs - storedMs;
        if (sinceMs <= storedMs)
          return isNearer ? { ...placed, isLatest: untilMs === Infinity } : later;
        later = { ...placed, isLatest: false };
      }
      if (sinceMs <= 0) return later;
      untilMs = sinceMs;
    }
  }
}

export function isAt(one: PlaceInTopic, other: PlaceInTopic): boolean {
  return one.queueId === other.queueId && one.broker === other.broker && one.topic === other.topic;
}

function isSame(one: Place, other: Place | undefined): boolean {
  return one.broker === other?.broker && one.queueId === other.queueId;
}

/** `move`: since which a topic is there, and over how many queues it may be spread. */
function placesIn(queues: Readonly<Record<string, number>>, move: Move | undefined): Place[] {
  const places: Place[] = [];
  for (const [broker, count] of Object.entries(queues)) {
    const countMax = move?.queues[broker] ?? Infinity;
    for (let queueId = 0; queueId < count && queueId < countMax; queueId += 1)
      places.push({ broker, queueId });
  }
  return places;
}
