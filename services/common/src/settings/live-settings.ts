// Settings that a running program takes anew when its files change. All others count from the next
// start.
import type { CamelCase, SettingName, Settings } from './row.ts';

type LiveName = 'HMAC_USERNAME' | 'HMAC_SECRET_KEY' | 'LOG_LEVEL';

export const liveNames: readonly SettingName[] = [
  'HMAC_USERNAME',
  'HMAC_SECRET_KEY',
  'LOG_LEVEL',
] satisfies readonly LiveName[];

type LiveValues = Pick<Settings, CamelCase<LiveName>>;

export class LiveSettings {
  #values: LiveValues;
  readonly #listeners: (() => void)[] = [];

  constructor(settings: LiveValues) {
    this.#values = settings;
  }

  get values(): LiveValues {
    return this.#values;
  }

  replace(values: LiveValues): void {
    this.#values = values;
    for (const listener of this.#listeners) listener();
  }

  /** Called after each new values. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
}
