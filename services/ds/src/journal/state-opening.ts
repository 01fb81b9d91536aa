import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JournalRefusal, remedy } from './failure.ts';
import { plainName, readState, tablePrefix, type StateReport } from './state-file/state-report.ts';
import { CheckpointState, formats, markOf } from './state.ts';

/**
 * Opens the state of a folder without ever ending the process by what is in it. lmdb maps the file
 * and trusts it, so that damage there ends the process without a word: the file is read by us
 * first. Should lmdb stumble over something that is not found so, a marker is left, and the next
 * start has another process open the file on trial.
 */
export class StateOpening {
  readonly #directory: string;
  readonly #marker: string;

  constructor(directory: string) {
    this.#directory = directory;
    this.#marker = join(directory, 'state', 'opening');
  }

  /** Throws JournalRefusal. To be followed by `done` when the entries are loaded. */
  async open(): Promise<{ state: CheckpointState; diedBefore: boolean }> {
    const folder = join(this.#directory, 'state');
    const file = join(folder, 'data.mdb');
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    const report = readState(file);
    refuseDamaged(this.#directory, report);
    // lmdb would make it anew as well, but not where a trial reads it.
    if (report.isEmpty) rmSync(file, { force: true });
    const plain = plainTables(report);
    const diedBefore = existsSync(this.#marker);
    if (diedBefore && !report.isEmpty) await this.#try(report.tables.map(({ name }) => name));
    writeFileSync(this.#marker, `${process.pid}\n`, { mode: 0o640 });
    return { state: new CheckpointState(this.#directory, plain), diedBefore };
  }

  done(): void {
    rmSync(this.#marker, { force: true });
  }

  #try(tables: readonly string[]): Promise<void> {
    const program = join(import.meta.dirname, 'state-trial.js');
    return new Promise((resolve, reject) => {
      execFile(process.execPath, [program, this.#directory, ...tables], (error) => {
        if (error === null) {
          resolve();
          return;
        }
        const how = error.signal ?? `code ${String(error.code)}`;
        const what = `a process that opened ${this.#directory}/state/data.mdb ended with ${how}`;
        reject(new JournalRefusal('damaged', `${what}. ${remedy(this.#directory)}`));
      });
    });
  }
}

function plainTables({ tables }: StateReport): string[] {
  return tables
    .filter(({ name }) => name.startsWith(tablePrefix.plain))
    .map(({ name }) => plainName(name));
}

/** Damage of the file and of the mark in it. */
export function findingsOf({ findings, mark, isEmpty, format }: StateReport): string[] {
  const isMarkWrong = mark !== undefined && markOf(mark) === undefined;
  const isMarkMissing = !isEmpty && mark === undefined && format !== undefined;
  return isMarkWrong || (isMarkMissing && findings.length > 0)
    ? [...findings, 'the mark of the checkpoint is wrong']
    : [...findings];
}

function refuseDamaged(directory: string, report: StateReport): void {
  const { format } = report;
  const findings = findingsOf(report);
  if (findings.length > 0) {
    const [first = ''] = findings;
    const more = findings.length === 1 ? '' : `, and ${findings.length - 1} more`;
    const what = `${directory}/state/data.mdb is damaged (${first}${more})`;
    throw new JournalRefusal('damaged', `${what}. ${lossText(report)} ${remedy(directory)}`);
  }
  if (format !== undefined && !formats.includes(format)) {
    throw new JournalRefusal(
      'version',
      `${directory}/state has format ${format}; this broker reads ${formats.join(' and ')}`,
    );
  }
}

/** The loss that entries which cannot be read would mean, as text. */
export function lossText({ tables }: StateReport): string {
  if (tables.length === 0) {
    return (
      'None of its entries can be read: sessions, retained messages, wills and groups would be ' +
      'lost, but for what the log still has.'
    );
  }
  const lost = tables.filter(({ stored, read }) => read < stored);
  const parts = lost.map(
    ({ name, stored, read }) => `${stored - read} of ${stored} entries of ${plainName(name)}`,
  );
  return parts.length === 0
    ? 'All of its entries can be read.'
    : `Would be lost, but for what the log still has: ${parts.join(', ')}.`;
}
