import { JournalFailure } from '../src/journal/failure.ts';
import { openJournal } from './journal-ledger.ts';

/**
 * A process that takes COUNT checkpoints, each of names that fill many pages: DIRECTORY COUNT. Says
 * of each `ok N` or `failed CODE`. The log never needs a large file.
 */
const [directory = '', count = '0'] = process.argv.slice(2);

const { journal, store } = await openJournal({ directory, segmentBytes: 64 << 10 });
const filler = 'x'.repeat(900);

for (let number = 0; number < Number(count); number++) {
  for (let i = 0; i < 500; i++) {
    store.set(`${i} ${filler}`, number);
    if (i % 50 === 49) await journal.durable();
  }
  try {
    await journal.checkpoint();
    process.stdout.write(`ok ${number}\n`);
  } catch (error) {
    if (!(error instanceof JournalFailure)) throw error;
    process.stdout.write(`failed ${error.reasonCode}\n`);
  }
}
await journal.close();
