// Runs one job in a process of its own, which gets until `limitMs` to answer.
import { fork } from 'node:child_process';
import { join } from 'node:path';

import type { Job, Outcome } from './job.ts';

type Answer<T> = { readonly outcome: T } | { readonly error: string };

/** `program`: a compiled file beside this one, which takes one job and answers it. */
export function ask<T>(program: string, job: object, limitMs: number): Promise<T> {
  const child = fork(join(import.meta.dirname, program));
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the run did not end within ${limitMs} ms`));
      child.kill('SIGKILL');
    }, limitMs);
    child.once('message', (message) => {
      const answer = message as Answer<T>;
      if ('outcome' in answer) resolve(answer.outcome);
      else reject(new Error(answer.error));
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`the generator ended with code ${code} and no answer`));
    });
    child.send(job);
  });
}

export function generate(job: Job, limitMs: number): Promise<Outcome> {
  return ask('load.js', job, limitMs);
}

/** The other side of {@link ask}: answers the job that its parent sends, and ends. */
export function answerJob<T>(run: (job: unknown) => Promise<T>): void {
  const answer = (what: Answer<T>): void => {
    process.send?.(what, undefined, undefined, () => process.exit('error' in what ? 1 : 0));
  };
  process.once('disconnect', () => process.exit(1));
  process.once('message', (job) => {
    run(job).then(
      (outcome) => answer({ outcome }),
      (error: unknown) => answer({ error: String(error) }),
    );
  });
}
