// The files that the settings of a running program come from are read again when they change.
import { isDeepStrictEqual } from 'node:util';
import { type LiveSettings, liveNames } from '@lmqtt/common/settings/live-settings';
import { readSettings, settingsFiles, type Sources } from '@lmqtt/common/settings/read';
import {
  camelCase,
  type ProgramName,
  rows,
  type SettingName,
  type Settings,
} from '@lmqtt/common/settings/row';
import type { Logger } from '@lmqtt/common/log';
import { type Reading, WatchedFiles, type WatchOptions } from '@lmqtt/common/watched-files';

export interface ReloadOptions extends WatchOptions {
  readonly sources: Sources;
  readonly program: ProgramName;
  /** Settings that the program runs with. */
  readonly settings: Settings;
  readonly live: LiveSettings;
  readonly log: Logger;
}

/**
 * Names of the settings that are not as they were, without the one that is chosen anew at each
 * start.
 */
function changedNames(from: Settings, to: Settings): SettingName[] {
  const values = (settings: Settings): Readonly<Record<string, unknown>> => ({ ...settings });
  const [before, now] = [values(from), values(to)];
  return rows
    .map(({ name }) => name)
    .filter(
      (name) =>
        name !== 'NODE_ID' && !isDeepStrictEqual(before[camelCase(name)], now[camelCase(name)]),
    );
}

/** Undefined where the settings come from no file. */
export async function reloadSettings(options: ReloadOptions): Promise<WatchedFiles | undefined> {
  const { sources, program, live, log } = options;
  const paths = settingsFiles(sources);
  if (paths.length === 0) return undefined;
  let last = options.settings;
  const read = async (): Promise<Reading> => {
    let settings: Settings;
    try {
      settings = readSettings(sources, program);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ reason }, 'settings not read; what was read before stays in force');
      return 'unusable';
    }
    const { hmacUsername, hmacSecretKey } = options.settings;
    // Whether there is such a user at all is decided at the start, where the authenticators are
    // chosen.
    const keepsUser = (hmacUsername === null) === (settings.hmacUsername === null);
    live.replace(keepsUser ? settings : { ...settings, hmacUsername, hmacSecretKey });
    const changed = changedNames(last, settings);
    const isInForce = (name: SettingName): boolean =>
      liveNames.includes(name) && (keepsUser || name === 'LOG_LEVEL');
    const inForce = changed.filter(isInForce);
    const afterRestart = changed.filter((name) => !isInForce(name));
    last = settings;
    if (inForce.length > 0) log.info({ settings: inForce }, 'settings read again');
    if (afterRestart.length > 0)
      log.warn({ settings: afterRestart }, 'settings changed that take effect after a restart');
    return 'read';
  };
  const failed = (reason: string): void => log.error({ reason }, 'settings not read');
  const files = await WatchedFiles.open(paths, { read, failed }, options);
  // Changes since the program read them are taken at once.
  await read();
  return files;
}
