import { JournalFailure } from '../src/journal/failure.ts';
import { openJournal } from './journal-ledger.ts';

/**
 * A process that writes until it has COUNT records acknowledged, or is killed:
 * DIRECTORY COUNT BYTES [FIRST]. Says `ok N` after record N is durable, `failed CODE` when not.
 */
const [directory = '', count = '0', bytes = '0', first = '0'] = process.argv.slice(2);

const { journal, store } = await openJournal({
  directory,
  segmentBytes: 2 << 20,
  checkpointBytes: 1 << 20,
});
const filler = 'x'.repeat(Number(bytes));
const last = Number(first) + Number(count);

for (let number = Number(first); number < last; number += 10) {
  try {
    for (let i = number; i < number + 10; i++) {
      store.set(`key ${i}`, i);
      // Takes room in the log only.
      store.set(`filler ${filler}`, i);
    }
    await journal.durable();
    const lines = Array.from({ length: 10 }, (_, i) => `ok ${number + i}\n`);
    process.stdout.write(lines.join(''));
  } catch (error) {
    if (!(error instanceof JournalFailure)) throw error;
    process.stdout.write(`failed ${error.reasonCode}\n`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
await journal.close();
