import { tryEach } from './cluster-trial.ts';
import { anything } from './cluster-trials.ts';

tryEach([anything], 8);
