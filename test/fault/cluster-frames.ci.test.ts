import { tryEach } from './cluster-trial.ts';
import { framesLost, framesRepeated, inTurn } from './cluster-trials.ts';

tryEach([inTurn(framesLost, framesRepeated)], 1);
