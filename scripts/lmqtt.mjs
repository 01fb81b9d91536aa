// The `lmqtt` command from a checkout: set up, then run, in one process, so that signals sent by
// npm or its shell reach the broker itself.
import { setUpPrograms } from './checkout.mjs';

setUpPrograms();
await import('../services/standalone/dist/src/main.js');
