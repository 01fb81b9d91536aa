import { tryEach } from './cluster-trial.ts';
import { dsKilledAgain, dsKilledBusy, dsKilledForLong, dsKilledShortly } from './cluster-trials.ts';

tryEach([dsKilledShortly, dsKilledForLong, dsKilledBusy, dsKilledAgain], 24);
