import { tryEach } from './cluster-trial.ts';
import { csKilled } from './cluster-trials.ts';

tryEach([csKilled], 20);
