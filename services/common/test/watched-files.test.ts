import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  type Reading,
  readFilesAgain,
  unreadFiles,
  type Watched,
  WatchedFiles,
} from '@lmqtt/common/watched-files';

async function eventually(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'not within a minute');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function counting(count: () => void): Watched {
  const read = (): Promise<Reading> => {
    count();
    return Promise.resolve('read');
  };
  return { read, failed: (reason) => assert.fail(reason) };
}

describe('WatchedFiles', () => {
  it('tells of a write, a rename into place, a removal and an appearance', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'lmqtt-watch-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'one');
    await writeFile(file, 'a');
    let changes = 0;
    const watched = await WatchedFiles.open(
      [file, join(folder, 'two')],
      counting(() => (changes += 1)),
      {
        settleMs: 5,
        pollMs: 60_000,
      },
    );
    t.after(() => watched.close());
    const steps = [
      () => writeFile(file, 'b'),
      async () => {
        await writeFile(join(folder, 'new'), 'b');
        await rename(join(folder, 'new'), file);
      },
      () => rm(file),
      () => writeFile(join(folder, 'two'), ''),
    ];
    for (const step of steps) {
      const before = changes;
      await step();
      await eventually(() => changes > before);
    }
  });

  it('finds out without any report, and is silent once closed', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'lmqtt-watch-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'sub', 'one');
    let changes = 0;
    // The folder is not there yet, so it cannot be watched.
    const watched = await WatchedFiles.open(
      [file],
      counting(() => (changes += 1)),
      { pollMs: 20 },
    );
    await mkdir(join(folder, 'sub'));
    await writeFile(file, 'a');
    await eventually(() => changes === 1);
    watched.close();
    await writeFile(file, 'longer');
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(changes, 1);
  });

  it('reads again until it succeeds, tells each failure once and counts what is not in force', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'lmqtt-watch-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'one');
    await writeFile(file, 'a');
    const replace = async (text: string): Promise<void> => {
      await writeFile(join(folder, 'new'), text);
      await rename(join(folder, 'new'), file);
    };
    const outcomes = ['EMFILE', 'EMFILE', 'EIO', 'EMFILE', 'read', 'unusable', 'read'];
    const told: string[] = [];
    let readings = 0;
    let running = false;
    const watched = await WatchedFiles.open(
      [file],
      {
        read: async () => {
          assert.equal(running, false, 'one reading at a time');
          running = true;
          await new Promise((resolve) => setTimeout(resolve, 5));
          running = false;
          const outcome = outcomes[readings++]!;
          if (outcome === 'read' || outcome === 'unusable') return outcome;
          throw new Error(outcome);
        },
        failed: (reason) => told.push(reason),
      },
      { settleMs: 5, retryMs: 10, pollMs: 30 },
    );
    t.after(() => watched.close());
    const before = unreadFiles();
    await replace('changed');
    await eventually(() => readings > 0 && unreadFiles() === before + 1);
    // Nothing changes in the files from here on.
    await eventually(() => readings === 5 && unreadFiles() === before);
    assert.deepEqual(told, ['EMFILE', 'EIO', 'EMFILE']);
    await replace('broken');
    await eventually(() => readings === 6 && unreadFiles() === before + 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(readings, 6, 'what cannot be used waits for a change');
    await replace('mended');
    await eventually(() => readings === 7 && unreadFiles() === before);
  });

  it('are read again when that is asked for, and which have changed is said', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'lmqtt-watch-'));
    t.after(() => rm(folder, { recursive: true }));
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    await writeFile(one, 'a');
    let readings = 0;
    // Long times: nothing is found out otherwise.
    const watched = await WatchedFiles.open(
      [one, two],
      counting(() => (readings += 1)),
      { settleMs: 60_000, pollMs: 60_000 },
    );
    t.after(() => watched.close());
    const own = (paths: readonly string[]): string[] => paths.filter((p) => p.startsWith(folder));
    const first = await readFilesAgain();
    assert.deepEqual([own(first.paths), own(first.changed)], [[one, two], []]);
    assert.equal(readings, 1);
    await writeFile(two, 'b');
    assert.deepEqual(own((await readFilesAgain()).changed), [two]);
    assert.equal(readings, 2);
  });
});
