// The generator's process: one job from its parent, one answer, and it ends.
import { answerJob } from './generator.ts';
import type { Job, Outcome } from './job.ts';
import { runBacklog } from './scenarios/backlog.ts';
import { runConnects } from './scenarios/connects.ts';
import { runFanOut } from './scenarios/fan-out.ts';
import { runIdle } from './scenarios/idle.ts';
import { runOpenLoop } from './scenarios/open-loop.ts';
import { runPairs } from './scenarios/pairs.ts';
import { runSessions } from './scenarios/sessions.ts';
import { runStalled } from './scenarios/stalled.ts';
import { runStorm } from './scenarios/storm.ts';

function run({ work, target }: Job): Promise<Outcome> {
  switch (work.kind) {
    case 'pairs':
      return runPairs(work, target);
    case 'fan-out':
      return runFanOut(work, target);
    case 'open-loop':
      return runOpenLoop(work, target);
    case 'stalled':
      return runStalled(work, target);
    case 'connects':
      return runConnects(work, target);
    case 'idle':
      return runIdle(work, target);
    case 'backlog':
      return runBacklog(work, target);
    case 'storm':
      return runStorm(work, target);
    case 'sessions':
      return runSessions(work, target);
  }
}

answerJob((job) => run(job as Job));
