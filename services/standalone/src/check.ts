// `lmqtt check`: reads a data folder that no broker uses, and says what it finds.
import type { Sources } from '@lmqtt/common/settings/read';
import { visible } from '@lmqtt/common/visible';
import { checkDataFolder } from '@lmqtt/ds/check-folder';

import { readForDoctor } from './doctor/setting-checks.ts';
import { exitCodeOf } from './start-failure.ts';

const repairFlag = '--repair';

export const checkUsage = `lmqtt check --data-dir DIR [--repair]

Reads every file of a data folder: format versions, sums of all blocks of the log, all pages and
entries of the snapshot. Exit code 0: nothing is wrong; 1: something is, each thing in a line of its
own. The folder must not be in use by a broker (exit code 75, and nothing is read).

  --data-dir DIR  the folder, DATA_DIR of the broker
  --repair        makes a damaged folder one that a broker opens, with all that can be read; what
                  was there is kept beside it as FILE.damaged
`;

/** The exit code. Throws SettingsError. */
export async function runCheck(sources: Sources): Promise<number> {
  const args = sources.args.filter((arg) => arg !== repairFlag);
  const { settings } = readForDoctor({ ...sources, args });
  const repairs = args.length < sources.args.length;
  try {
    const isRight = await checkDataFolder(settings.dataDir, repairs, (line) => {
      process.stdout.write(`${visible(line)}\n`);
    });
    return isRight ? 0 : 1;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    process.stderr.write(`lmqtt: ${visible(text)}\n`);
    return exitCodeOf(error);
  }
}
