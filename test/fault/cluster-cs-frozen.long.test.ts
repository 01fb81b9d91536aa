import { tryEach } from './cluster-trial.ts';
import { csFrozenAtWork, csFrozenIdle, csPaused } from './cluster-trials.ts';

tryEach([csFrozenIdle, csFrozenAtWork, csPaused], 24);
