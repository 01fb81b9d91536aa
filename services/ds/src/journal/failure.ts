import { ReasonCode } from '@lmqtt/common/reason-code';
import { StoreFailure } from '@lmqtt/common/store-failure';

/** What was added could not be made durable: 0x97 where there is no room, else 0x83. */
export class JournalFailure extends StoreFailure {
  override readonly name: string = 'JournalFailure';
}

/** The folder cannot be opened: in use, of another version, or damaged. Not to be retried. */
export class JournalRefusal extends Error {
  readonly why: 'in use' | 'version' | 'damaged';

  constructor(why: 'in use' | 'version' | 'damaged', message: string) {
    super(message);
    this.name = 'JournalRefusal';
    this.why = why;
  }
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
