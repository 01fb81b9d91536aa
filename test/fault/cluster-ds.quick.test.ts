import { tryEach } from './cluster-trial.ts';
import { bothKilled, dsKilledForLong, dsKilledShortly } from './cluster-trials.ts';

tryEach([dsKilledShortly, dsKilledForLong, bothKilled], 3);
