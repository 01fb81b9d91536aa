import { tryEach } from './cluster-trial.ts';
import {
  cutAgainAndAgain,
  framesLost,
  framesRepeated,
  partitioned,
  stalledForLong,
  stalledShortly,
} from './cluster-trials.ts';

const partitionMs = 8000;

tryEach([stalledShortly, stalledForLong, cutAgainAndAgain, partitioned(partitionMs)], 4);
tryEach([framesLost, framesRepeated], 2);
