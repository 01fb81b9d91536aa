import { tryEach } from './cluster-trial.ts';
import { csFrozen, csKilled, csPaused } from './cluster-trials.ts';

tryEach([csKilled, csFrozen, csPaused], 3);
