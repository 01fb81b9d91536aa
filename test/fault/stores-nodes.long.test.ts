import { freezeCs, freezeDs, killAny, killCs, killDs } from './stores-faults.ts';
import { tryEach } from './stores-trial.ts';

tryEach([killDs, killCs, freezeDs, freezeCs, killAny]);
