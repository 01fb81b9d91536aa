import { tryEach } from './cluster-trial.ts';
import { bothKilled } from './cluster-trials.ts';

tryEach([bothKilled], 20);
