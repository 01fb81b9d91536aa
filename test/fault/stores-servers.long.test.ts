import { freezeRedis, killBroker, killNamesrv, killRedis } from './stores-faults.ts';
import { tryEach } from './stores-trial.ts';

tryEach([killBroker, killNamesrv, killRedis, freezeRedis]);
