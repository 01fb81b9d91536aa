import { tryEach } from './cluster-trial.ts';
import { csPaused, cutAgainAndAgain, inTurn, stalledShortly } from './cluster-trials.ts';

tryEach([inTurn(stalledShortly, cutAgainAndAgain, csPaused)], 1);
