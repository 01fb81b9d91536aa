// The choice of denials that get a line of the log. A client that is denied again and again gets a
// few lines, then one from time to time with the number of those left out. All clients together are
// bounded too, so that strangers with many names do not fill the log.

/** Lines that may be written at once, and how long it takes until there may be one more. */
interface Budget {
  readonly linesMax: number;
  readonly lineEachMs: number;
}

const ofClient: Budget = { linesMax: 10, lineEachMs: 10_000 };
const ofAll: Budget = { linesMax: 100, lineEachMs: 500 };
const clientsMax = 1000;

interface Account {
  lines: number;
  atMs: number;
  unsaid: number;
}

export class DenialLines {
  readonly #clients = new Map<string, Account>();
  readonly #all: Account;

  constructor(nowMs: number) {
    this.#all = { lines: ofAll.linesMax, atMs: nowMs, unsaid: 0 };
  }

  /**
   * Number of the client's denials without a line before this one; undefined: this one gets no line
   * either.
   */
  take(client: string, nowMs: number): number | undefined {
    const account = this.#clients.get(client) ?? this.#open(client, nowMs);
    refill(account, ofClient, nowMs);
    refill(this.#all, ofAll, nowMs);
    if (account.lines < 1 || this.#all.lines < 1) {
      account.unsaid += 1;
      return undefined;
    }
    account.lines -= 1;
    this.#all.lines -= 1;
    const { unsaid } = account;
    account.unsaid = 0;
    return unsaid;
  }

  #open(client: string, nowMs: number): Account {
    if (this.#clients.size >= clientsMax) {
      const [oldest] = this.#clients.keys();
      this.#clients.delete(oldest!);
    }
    const account = { lines: ofClient.linesMax, atMs: nowMs, unsaid: 0 };
    this.#clients.set(client, account);
    return account;
  }
}

function refill(account: Account, { linesMax, lineEachMs }: Budget, nowMs: number): void {
  account.lines = Math.min(linesMax, account.lines + (nowMs - account.atMs) / lineEachMs);
  account.atMs = nowMs;
}
