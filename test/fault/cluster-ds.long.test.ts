import { tryEach } from './cluster-trial.ts';
import { dsKilledForLong, dsKilledShortly } from './cluster-trials.ts';

tryEach([dsKilledShortly, dsKilledForLong], 20);
