// A wall clock that is moved, for a broker's process, loaded by `--import`. The file that
// SHIFTED_CLOCK_FILE names holds the shift in ms. The last shift that a process has applied is in a
// file beside it.
import { readFileSync, writeFileSync } from 'node:fs';

const path = process.env['SHIFTED_CLOCK_FILE'];
const { now } = Date;
const lookMs = 20;
let shiftMs = Number.NaN;

function look(): void {
  if (path === undefined) return;
  const wanted = Number(readFileSync(path, 'utf8'));
  if (wanted === shiftMs) return;
  shiftMs = wanted;
  writeFileSync(`${path}.${process.pid}`, String(shiftMs));
}

look();
setInterval(look, lookMs).unref();
Date.now = () => now() + shiftMs;
