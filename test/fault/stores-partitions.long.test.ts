import { partitionBroker, partitionLink, partitionRedis } from './stores-faults.ts';
import { tryEach } from './stores-trial.ts';

tryEach([partitionRedis, partitionBroker, partitionLink]);
