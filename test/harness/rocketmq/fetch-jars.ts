// Fetches the jars ahead of the tests, so that no time-out of theirs includes Maven.
import { ensureJars } from './jars.ts';

const lib = await ensureJars();
process.stdout.write(`RocketMQ: ${lib}\n`);
