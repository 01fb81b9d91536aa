import { tryEach } from './cluster-trial.ts';
import { dsKilledBusy, dsKilledForLong, dsKilledShortly } from './cluster-trials.ts';

tryEach([dsKilledShortly, dsKilledForLong, dsKilledBusy], 24);
