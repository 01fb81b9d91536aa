import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';

/** Records could not be made durable: 0x97 for lack of room, else 0x83. */
export class JournalFailure extends StoreFailure {
  override readonly name: string = 'JournalFailure';
}

/** A segment of which neither the header nor the first block can be read. */
export class SegmentWithoutHead extends Error {
  override readonly name = 'SegmentWithoutHead';
}

type Why = 'in use' | 'version' | 'damaged';

/** 65 is wrong data in sysexits.h; a folder that is in use is a start like any other that fails. */
const exitCodes: Readonly<Record<Why, number>> = { damaged: 65, version: 65, 'in use': 1 };

/** The folder cannot be opened: in use, of another version, or damaged. Not to be retried. */
export class JournalRefusal extends Error {
  readonly why: Why;
  /** Exit code of a program that cannot start for this reason. */
  readonly exitCode: number;

  constructor(why: Why, message: string) {
    super(message);
    this.name = 'JournalRefusal';
    this.why = why;
    this.exitCode = exitCodes[why];
  }
}

/** Advice on a damaged folder, the end of a refusal's message. */
export function remedy(directory: string): string {
  return (
    'Nothing was changed. Restore the folder from a copy, or go on with what can be read: ' +
    `npm run lmqtt -- check --data-dir ${directory} --repair`
  );
}

const noRoom = new Set(['ENOSPC', 'EFBIG', 'EDQUOT']);

export function failureOf(error: unknown): JournalFailure {
  if (error instanceof JournalFailure) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const text = error instanceof Error ? error.message : String(error);
  return noRoom.has(code) || /ENOSPC|EFBIG|EDQUOT|MDB_MAP_FULL|No space|too large/i.test(text)
    ? new JournalFailure(`no room for the log: ${text}`, ReasonCode.quotaExceeded, error)
    : new JournalFailure(
        `the log cannot be written: ${text}`,
        ReasonCode.implementationSpecificError,
        error,
      );
}
