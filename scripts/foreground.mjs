// Programs in the foreground of a terminal, each line with the name of its process; Ctrl-C stops
// all of them in an order, and so does the end of any. Pressed again, it kills them. None outlives
// this process, however that ends.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const main = join(import.meta.dirname, '../services/standalone/dist/src/main.js');

/** One key press comes twice where npm passes it on. */
const samePressMs = 300;

/** Kills a process when the pipe from here closes. */
function guard(pid) {
  const script = 'read _; kill -9 "$1"';
  const shell = spawn('sh', ['-c', script, 'guard', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  return shell;
}

export class Foreground {
  #title;
  #nameColumns;
  #write;
  /** Those of one row end together; the last row first. */
  #rows = [];
  #stopping;

  /** `write` gets the lines that the programs print on their stdout. */
  constructor(title, nameColumns, write) {
    this.#title = title;
    this.#nameColumns = nameColumns;
    this.#write = write;
    let firstPressMs;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        firstPressMs ??= performance.now();
        void this.stop(0);
        if (performance.now() - firstPressMs < samePressMs) return;
        for (const member of this.#rows.flat()) member.kill();
      });
    }
  }

  get isStopping() {
    return this.#stopping !== undefined;
  }

  /**
   * A member: `ended` resolves with its exit code, `stop` and `kill` end it; `lastWords` is the end
   * of what it wrote, where that has not been shown.
   */
  add(row, name, member) {
    (this.#rows[row] ??= []).push(member);
    void member.ended.then((code) => {
      if (this.isStopping) return;
      console.error(`${this.#title}: ${name} ended with ${code ?? 'a signal'}`);
      if (member.lastWords !== undefined) console.error(member.lastWords());
      void this.stop(1);
    });
  }

  /**
   * `lmqtt` with a command; `ready` resolves with its line, `listening` with the one that says
   * where it listens, ready or not.
   */
  start(row, name, command, flags, surroundings) {
    const child = spawn(process.execPath, [main, command, ...flags], {
      ...surroundings,
      // A group of its own: Ctrl-C comes to us alone, and we end them in order.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const guardian = guard(child.pid);
    const label = name.padEnd(this.#nameColumns);
    const ended = new Promise((resolve) => child.once('close', resolve));
    void ended.then(() => guardian.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => this.#write(`${label} | ${line}`));
    const first = (pattern) =>
      new Promise((resolve) => {
        lines.on('line', (line) => pattern.test(line) && resolve(line));
      });
    const ready = first(/^ready /);
    const listening = first(/^(ready|listening) /);
    createInterface({ input: child.stderr }).on('line', (line) => {
      console.error(`${label} | ${line}`);
    });
    this.add(row, name, {
      ended,
      stop: async () => {
        child.kill('SIGTERM');
        await ended;
      },
      kill: () => child.kill('SIGKILL'),
    });
    return { pid: child.pid, ready, listening };
  }

  /** Ends this process as well. */
  stop(code) {
    this.#stopping ??= (async () => {
      for (const row of this.#rows.toReversed()) {
        await Promise.all((row ?? []).map((member) => member.stop()));
      }
      process.exit(code);
    })();
    return this.#stopping;
  }
}
