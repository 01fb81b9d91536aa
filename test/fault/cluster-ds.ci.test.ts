import { tryEach } from './cluster-trial.ts';
import { bothKilled, dsKilledForLong, dsKilledShortly, inTurn } from './cluster-trials.ts';

tryEach([inTurn(dsKilledShortly, dsKilledForLong, bothKilled)], 1);
