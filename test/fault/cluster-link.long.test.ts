import { tryEach } from './cluster-trial.ts';
import {
  cutAgainAndAgain,
  framesLost,
  framesRepeated,
  partitioned,
  stalledForLong,
  stalledShortly,
} from './cluster-trials.ts';

const partitionMs = 30_000;

tryEach([stalledShortly, stalledForLong, cutAgainAndAgain], 12);
tryEach([framesLost, framesRepeated], 8);
tryEach([partitioned(partitionMs)], 2);
