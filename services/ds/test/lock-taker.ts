// Takes the folder that it is told, says so, and keeps it until it is killed.
import { FolderLock } from '../src/journal/lock.ts';

try {
  await FolderLock.take(process.argv[2] ?? '');
  process.stdout.write('taken\n');
  setInterval(() => undefined, 60_000);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
}
