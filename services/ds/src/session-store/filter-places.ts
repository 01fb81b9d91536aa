import { wildcardPlaces } from '@lmqtt/common/topic';

/** Where a session's filters have their wildcards: no topic matches more of them than there are places. */
export interface FilterPlaces {
  readonly count: number;
  has(places: string): boolean;
}

/** Places of filters that come and go; the same ones may come from many. */
export class CountedPlaces implements FilterPlaces {
  readonly #filters = new Map<string, number>();

  get count(): number {
    return this.#filters.size;
  }

  has(places: string): boolean {
    return this.#filters.has(places);
  }

  add(filter: string): void {
    const places = wildcardPlaces(filter);
    this.#filters.set(places, (this.#filters.get(places) ?? 0) + 1);
  }

  remove(filter: string): void {
    const places = wildcardPlaces(filter);
    const left = (this.#filters.get(places) ?? 0) - 1;
    if (left > 0) this.#filters.set(places, left);
    else this.#filters.delete(places);
  }
}
