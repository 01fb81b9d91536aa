import { tryEach } from './cluster-trial.ts';
import { csFrozen, csPaused } from './cluster-trials.ts';

tryEach([csFrozen, csFrozen, csPaused], 24);
