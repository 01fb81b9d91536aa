import { tryEach } from './cluster-trial.ts';
import {
  cutAgainAndAgain,
  cutBusy,
  framesLost,
  framesRepeated,
  partitioned,
  stalledForLong,
  stalledShortly,
} from './cluster-trials.ts';

const partitionMs = 30_000;

tryEach([stalledShortly, stalledForLong, cutAgainAndAgain, cutBusy], 12);
tryEach([framesLost, framesRepeated], 8);
tryEach([partitioned(partitionMs)], 2);
