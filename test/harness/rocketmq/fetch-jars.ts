// Fetches the jars ahead of the tests, so that no time-out of theirs includes Maven.
import { ensureJars } from './jars.ts';

try {
  process.stdout.write(`RocketMQ: ${await ensureJars()}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
