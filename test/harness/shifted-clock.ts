// Of a broker's process, by `--import`: its wall clock is moved by as many ms as the file says that
// SHIFTED_CLOCK_FILE names. What it was moved by last stands in a file beside it, by process.
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
