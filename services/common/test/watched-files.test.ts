import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { WatchedFiles } from '@lmqtt/common/watched-files';

async function eventually(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'not within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('WatchedFiles', () => {
  it('tells of a write, a rename into place, a removal and an appearance', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'lmqtt-watch-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'one');
    await writeFile(file, 'a');
    let changes = 0;
    const watched = await WatchedFiles.open([file, join(folder, 'two')], () => (changes += 1), {
      settleMs: 5,
      pollMs: 60_000,
    });
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
    const watched = await WatchedFiles.open([file], () => (changes += 1), { pollMs: 20 });
    await mkdir(join(folder, 'sub'));
    await writeFile(file, 'a');
    await eventually(() => changes === 1);
    watched.close();
    await writeFile(file, 'longer');
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal(changes, 1);
  });
});
