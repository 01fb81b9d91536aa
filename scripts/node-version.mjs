// Ends the process with one line where Node is too old for what comes after it. Imported first, and
// written in what any Node with ES modules understands, so that nothing fails before the line.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const manifest = fileURLToPath(new URL('../package.json', import.meta.url));
const wanted = JSON.parse(readFileSync(manifest, 'utf8')).engines.node.replace('>=', '');
const [major, minor] = process.versions.node.split('.').map(Number);
const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);

if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
  console.error(
    `lmqtt: Node ${wanted} or newer is needed, and this is ${process.version}; Node 24 is best`,
  );
  process.exit(1);
}
