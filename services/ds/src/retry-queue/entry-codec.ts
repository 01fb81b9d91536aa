import { decodeMessage, encodeMessage } from '../queue-store/single-message.ts';
import { type DeadReason, deadReasons, type RetryEntry } from './retry-queue.ts';

/**
 * An entry on its own:
 *
 *     u8    reason, its place in `deadReasons`
 *     u8    reason code of the client
 *     u32   attempts
 *     f64   first attempt, f64 last attempt: wall clock in ms
 *     u16   length, client identifier
 *     u16   length, filter
 *     …     message, as wills and retained messages are stored
 */
const fixedBytes = 26;

export function encodeEntry(entry: RetryEntry): Buffer {
  const { clientId, filter, message } = entry;
  const clientBytes = Buffer.byteLength(clientId);
  const filterBytes = Buffer.byteLength(filter);
  const head = Buffer.allocUnsafeSlow(fixedBytes + clientBytes + filterBytes);
  head[0] = deadReasons.indexOf(entry.reason);
  head[1] = entry.reasonCode;
  head.writeUInt32LE(entry.attempts, 2);
  head.writeDoubleLE(entry.firstMs, 6);
  head.writeDoubleLE(entry.lastMs, 14);
  let at = head.writeUInt16LE(clientBytes, 22);
  at += head.write(clientId, at);
  at = head.writeUInt16LE(filterBytes, at);
  head.write(filter, at);
  return Buffer.concat([head, encodeMessage(message)]);
}

/** The entry keeps views of the buffer. */
export function decodeEntry(buffer: Buffer): RetryEntry {
  const clientEnd = 24 + buffer.readUInt16LE(22);
  const filterEnd = clientEnd + 2 + buffer.readUInt16LE(clientEnd);
  const reason: DeadReason = deadReasons[buffer[0]!] ?? 'not stored';
  return {
    reason,
    reasonCode: buffer[1]!,
    attempts: buffer.readUInt32LE(2),
    firstMs: buffer.readDoubleLE(6),
    lastMs: buffer.readDoubleLE(14),
    clientId: buffer.toString('utf8', 24, clientEnd),
    filter: buffer.toString('utf8', clientEnd + 2, filterEnd),
    message: decodeMessage(buffer.subarray(filterEnd)),
  };
}
