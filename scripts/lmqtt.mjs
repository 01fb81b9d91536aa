// The `lmqtt` command from a checkout: set up, then run, in one process, so that signals sent by
// npm or its shell reach the broker itself.
import './setup.mjs';

await import('../services/standalone/dist/src/main.js');
