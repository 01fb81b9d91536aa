// Runs one job in a generator process of its own, which gets until `limitMs` to answer.
import { fork } from 'node:child_process';
import { join } from 'node:path';

import type { Answer, Job, Outcome } from './job.ts';

export function generate(job: Job, limitMs: number): Promise<Outcome> {
  const child = fork(join(import.meta.dirname, 'load.js'));
  return new Promise<Outcome>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`the run did not end within ${limitMs} ms`));
      child.kill('SIGKILL');
    }, limitMs);
    child.once('message', (message) => {
      const answer = message as Answer;
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
