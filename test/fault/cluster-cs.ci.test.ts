import { tryEach } from './cluster-trial.ts';
import { csFrozenIdle, csKilled, inTurn } from './cluster-trials.ts';

tryEach([inTurn(csFrozenIdle, csKilled)], 1);
