import { existsSync } from 'node:fs';
import { JournalRefusal } from './journal/failure.ts';
import { checkFolder as check, type FolderReport } from './journal/folder-check.ts';
import { repairFolder } from './journal/folder-repair.ts';
import { FolderLock } from './journal/lock.ts';

/** The folder can be checked later: a broker has it. */
class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
  /** EX_TEMPFAIL of sysexits.h. */
  readonly exitCode = 75;
}

/**
 * `lmqtt check`: reads all of a data folder and says what it finds, a line each; with `repairs`
 * makes it one that can be opened. True: nothing was found, or it was repaired. Throws
 * FolderInUse where a broker has the folder.
 */
export async function checkDataFolder(
  directory: string,
  repairs: boolean,
  say: (line: string) => void,
): Promise<boolean> {
  if (!existsSync(directory)) {
    say(`${directory}: there is no such folder`);
    return false;
  }
  const lock = await FolderLock.take(directory).catch((error: unknown) => {
    const isInUse = error instanceof JournalRefusal && error.why === 'in use';
    throw isInUse ? new FolderInUse(error.message, { cause: error }) : error;
  });
  try {
    const report = await check(directory);
    tell(report, say);
    if (report.findings.length === 0 || !repairs) return report.findings.length === 0;
    for (const line of await repairFolder(directory, report)) say(`repaired: ${line}`);
    const again = await check(directory);
    for (const finding of again.findings) say(`still wrong: ${finding}`);
    return again.findings.length === 0;
  } finally {
    await lock.free();
  }
}

function tell({ facts, findings }: FolderReport, say: (line: string) => void): void {
  for (const fact of facts) say(fact);
  for (const finding of findings) say(`wrong: ${finding}`);
  say(findings.length === 0 ? 'all is well' : `${findings.length} findings`);
}
