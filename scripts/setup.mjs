// Brings a checkout to the point where its programs and tests run.
import { setUpAll } from './checkout.mjs';

setUpAll();
