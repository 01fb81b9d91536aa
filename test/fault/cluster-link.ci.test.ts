import { tryEach } from './cluster-trial.ts';
import { inTurn, partitioned, stalledForLong } from './cluster-trials.ts';

const partitionMs = 8000;

tryEach([inTurn(stalledForLong, partitioned(partitionMs))], 1);
