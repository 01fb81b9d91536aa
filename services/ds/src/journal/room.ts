import { open, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const zeros = Buffer.alloc(64 << 10);

/**
 * Rejects, as the write itself would, where the file could not grow by so many bytes. Nothing is
 * left of the attempt.
 */
export async function proveRoom(path: string, bytes: number): Promise<void> {
  const { size } = await stat(path);
  const aside = join(dirname(path), 'room');
  const file = await open(aside, 'w', 0o640);
  try {
    for (let done = 0; done < bytes;) {
      const length = Math.min(zeros.length, bytes - done);
      done += (await file.write(zeros, 0, length, size + done)).bytesWritten;
    }
  } finally {
    await file.close();
    await rm(aside, { force: true });
  }
}
