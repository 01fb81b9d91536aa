import { nameOfCode } from './codes.ts';

/** The peer answered with a code that says no. */
export class RemotingError extends Error {
  override readonly name = 'RemotingError';
  readonly code: number;
  readonly remark: string;

  constructor(address: string, request: string, code: number, remark: string | undefined) {
    const why = remark === undefined || remark === '' ? '' : `: ${remark}`;
    super(`${address} refuses ${request} with code ${code} (${nameOfCode(code)})${why}`);
    this.code = code;
    this.remark = remark ?? '';
  }
}

/** No answer, and none will come. What was not `written` has not left this process. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly written: boolean;

  constructor(address: string, request: string, reason: string, written: boolean) {
    super(`${request} to ${address}: ${reason}`);
    this.written = written;
  }
}

/** No answer in time. What was not `written` has not left this process and never will. */
export class RequestTimeout extends Error {
  override readonly name = 'RequestTimeout';
  readonly written: boolean;

  constructor(address: string, request: string, reason: string, written: boolean) {
    super(`${request} to ${address}: ${reason}`);
    this.written = written;
  }
}
