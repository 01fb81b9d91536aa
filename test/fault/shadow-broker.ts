// A program: the standalone broker over files whose syncs its parent holds up, and of which it
// keeps the copy that a loss of power would leave. Arguments: the folder, and settings as JSON.
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { defaultSettings } from '@lmqtt/common/settings/read';
import type { OpenFile } from '@lmqtt/ds/journal/files';
import { startStandalone } from '@lmqtt/standalone/service';
import { ShadowFiles } from './shadow-files.ts';

export type ShadowOrder =
  /** From now on no sync ends; `allow` lets so many of them end, then holds again. */
  | { readonly kind: 'hold' }
  | { readonly kind: 'allow'; readonly syncs: number }
  | { readonly kind: 'release' }
  /** Each sync takes a random time up to this. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Syncs that are said to have ended and have not; for the test of the test. */
  | { readonly kind: 'lie' }
  /** Writes what the last sync left to another folder, and dies. */
  | { readonly kind: 'crash'; readonly into: string };

export interface ShadowReport {
  readonly mqttPort: number;
}

const lateMs = 50;

class HeldFiles extends ShadowFiles {
  slowMs = 0;
  lies = false;
  #allowed = Infinity;
  readonly #waiting: (() => void)[] = [];
  #late: Promise<void> = Promise.resolve();

  allow(syncs: number): void {
    this.#allowed = syncs;
    while (this.#allowed > 0 && this.#waiting.length > 0) {
      this.#allowed -= 1;
      this.#waiting.shift()?.();
    }
  }

  override async open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile> {
    const file = await super.open(path, mode);
    if (mode === 'read') return file;
    const write = file.write.bind(file);
    const close = file.close.bind(file);
    file.close = async () => {
      await this.#late;
      await close();
    };
    file.write = (buffer, start, bytes, position, done) => {
      if (!this.lies) {
        this.#whenAllowed(() => write(buffer, start, bytes, position, done));
        return;
      }
      // In their order: a hole in the log would be noticed at the start.
      this.#late = this.#late.then(async () => {
        await delay(lateMs);
        await new Promise<void>((ended) => write(buffer, start, bytes, position, () => ended()));
      });
      setImmediate(() => done(null));
    };
    return file;
  }

  override async syncDirectory(path: string): Promise<void> {
    await super.syncDirectory(path);
    // The journal does this when a checkpoint is durable.
    if (basename(path) === 'state') this.stateFlushed(dirname(path));
  }

  #whenAllowed(go: () => void): void {
    if (this.slowMs > 0) {
      setTimeout(go, Math.random() * this.slowMs);
    } else if (this.#allowed > 0) {
      this.#allowed -= 1;
      go();
    } else {
      this.#waiting.push(go);
    }
  }
}

const [, , directory = '', settings = '{}'] = process.argv;
const files = new HeldFiles();
files.adopt(directory);

process.on('message', (order: ShadowOrder) => {
  switch (order.kind) {
    case 'hold':
      files.allow(0);
      break;
    case 'allow':
      files.allow(order.syncs);
      break;
    case 'release':
      files.allow(Infinity);
      break;
    case 'slow':
      files.slowMs = order.ms;
      break;
    case 'lie':
      files.lies = true;
      break;
    case 'crash':
      files.restore(directory, order.into);
      process.kill(process.pid, 'SIGKILL');
      break;
  }
  // Whoever asked knows that it holds.
  process.send?.('obeyed');
});
process.on('disconnect', () => process.exit(1));

const broker = await startStandalone(
  defaultSettings({
    mqttPort: 0,
    wsPort: null,
    opsPort: null,
    dataDir: directory,
    logLevel: 'error',
    ...(JSON.parse(settings) as object),
  }),
  { files },
);
process.send?.({ mqttPort: broker.ports.mqtt ?? 0 } satisfies ShadowReport);
