// User properties among the forwarded properties of a message, as encoded in a 5.0 PUBLISH without
// the length in front. The bytes are what the codec has let through.
const userProperty = 0x26;
/** The one property whose value has no length in front. */
const payloadFormatIndicator = 0x01;
const own = Buffer.from('lmqtt-');

/** Whether one of them may be of this broker: nearly all messages are told apart by this alone. */
export function mayHaveOwn(properties: Buffer): boolean {
  return properties.includes(own);
}

/** Calls `see` for each user property, with where it begins and ends. */
export function eachUserProperty(
  bytes: Buffer,
  see: (name: Buffer, value: string, start: number, end: number) => void,
): void {
  const textEnd = (at: number): number => at + 2 + bytes.readUInt16BE(at);
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    const property = bytes[at];
    at += 1;
    if (property === payloadFormatIndicator) {
      at += 1;
      continue;
    }
    const nameEnd = textEnd(at);
    if (property === userProperty) {
      const end = textEnd(nameEnd);
      see(bytes.subarray(at + 2, nameEnd), bytes.toString('utf8', nameEnd + 2, end), start, end);
      at = end;
    } else at = nameEnd;
  }
}
