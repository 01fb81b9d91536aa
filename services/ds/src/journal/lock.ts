import * as fs from 'node:fs';
import { join } from 'node:path';
import { pause } from '@lmqtt/common/pause';
import { JournalRefusal } from './failure.ts';
import { hasOthers, Holder } from './holder.ts';

const tries = 20;
const pauseMsMax = 200;

/**
 * One process on a folder. Whoever wants it announces itself in `holders/` first, and has it when
 * nobody else is found there after that: of two that come at once at least one sees the other. Who
 * sees another gives way, and looks again a little later in case the other gave way, too. Needs no
 * program, no clean end, and no process ids, which mean nothing from one container to another; see
 * holder.ts for how an entry is known to be alive.
 *
 * `lock` only names the process, for whoever is refused.
 */
export class FolderLock {
  readonly #holder: Holder;
  readonly #path: string;

  private constructor(holder: Holder, path: string) {
    this.#holder = holder;
    this.#path = path;
  }

  /** Throws JournalRefusal where another has it. */
  static async take(directory: string): Promise<FolderLock> {
    const folder = join(directory, 'holders');
    const path = join(directory, 'lock');
    await fs.promises.mkdir(folder, { recursive: true, mode: 0o750 });
    for (let i = 0; i < tries; i++) {
      if (await hasOthers(folder, undefined)) break;
      const holder = await Holder.announce(folder);
      try {
        if (!(await hasOthers(folder, holder.name))) {
          await fs.promises.writeFile(path, `${process.pid}\n`, { mode: 0o640 });
          return new FolderLock(holder, path);
        }
      } catch (error) {
        await holder.withdraw();
        throw error;
      }
      await holder.withdraw();
      await pause(Math.random() * pauseMsMax);
    }
    const pid = (await fs.promises.readFile(path, 'utf8').catch(() => '')).trim();
    const whose = pid === '' ? '' : ` (process ${pid})`;
    throw new JournalRefusal('in use', `${directory} is in use by another broker${whose}`);
  }

  async free(): Promise<void> {
    await fs.promises.truncate(this.#path, 0).catch(() => undefined);
    await this.#holder.withdraw();
  }
}
