import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delayMsFor, SendWindow } from '../src/wire/send-window.ts';

const delayMs = 500;
const windowBytesMax = 8 << 20;

/** A sender that always has more, and a link of so many bytes a second and a round trip. */
function underWayOver(
  window: SendWindow,
  bytesPerMs: number,
  tripMs: number,
  seconds: number,
  startMs = 0,
): number {
  const sent: { bytes: number; sentMs: number; arrivesMs: number }[] = [];
  let linkFreeMs = startMs;
  let underWay = 0;
  for (let nowMs = startMs; nowMs < startMs + seconds * 1000; nowMs++) {
    if (underWay === 0) window.begin(nowMs);
    while (underWay < window.bytes) {
      const bytes = window.partBytes;
      linkFreeMs = Math.max(linkFreeMs, nowMs) + bytes / bytesPerMs;
      sent.push({ bytes, sentMs: nowMs, arrivesMs: linkFreeMs + tripMs });
      underWay += bytes;
    }
    while (sent[0] !== undefined && sent[0].arrivesMs <= nowMs) {
      const { bytes, sentMs } = sent.shift()!;
      window.acknowledged(bytes, underWay, sentMs, nowMs, delayMs);
      underWay -= bytes;
    }
  }
  return underWay;
}

test('slow link: what is under way is carried within little more than the delay', () => {
  for (const bytesPerMs of [250, 2500, 6250]) {
    const window = new SendWindow(windowBytesMax);
    const underWay = underWayOver(window, bytesPerMs, 1, 10);
    assert.ok(underWay / bytesPerMs < 1.5 * delayMs, `${bytesPerMs}: ${underWay}`);
    assert.ok(underWay / bytesPerMs > delayMs / 5, `${bytesPerMs}: ${underWay}`);
  }
});

test('wide link: the window opens to all that it may have, also over long round trips', () => {
  for (const tripMs of [1, 50]) {
    const window = new SendWindow(windowBytesMax);
    underWayOver(window, 125_000, tripMs, 2);
    assert.equal(window.bytes, windowBytesMax);
  }
});

test('a link that becomes slow has little in it after some round trips', () => {
  const window = new SendWindow(windowBytesMax);
  underWayOver(window, 125_000, 1, 2);
  const underWay = underWayOver(window, 2500, 1, 20, 2000);
  assert.ok(underWay / 2500 < 1.5 * delayMs);
});

test('after a pause, and over another stream, the window begins anew', () => {
  const window = new SendWindow(windowBytesMax);
  const { bytes } = window;
  underWayOver(window, 125_000, 1, 2);
  window.begin(2500);
  assert.ok(window.bytes > bytes);
  window.begin(4000);
  assert.equal(window.bytes, bytes);
  underWayOver(window, 125_000, 1, 2, 5000);
  window.reset();
  assert.equal(window.bytes, bytes);
});

test('the delay is far less than half a lease, of whatever length', () => {
  for (const leaseMs of [300, 3000, 60_000]) assert.ok(delayMsFor(leaseMs) < leaseMs / 4);
});
