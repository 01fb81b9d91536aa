// The forwarded properties of a PUBLISH of MQTT 5.0, as encoded in the packet without the length in
// front, taken apart and put together again. The layout keeps their order, so that the same bytes
// come back.
import { isUtf8 } from 'node:buffer';

const id = {
  payloadFormatIndicator: 0x01,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  userProperty: 0x26,
} as const;

/**
 * The layout's letters: payload format, content type, response topic, correlation data, user
 * property.
 */
const letters: Readonly<Record<number, string>> = {
  [id.payloadFormatIndicator]: 'f',
  [id.contentType]: 't',
  [id.responseTopic]: 'r',
  [id.correlationData]: 'c',
  [id.userProperty]: 'u',
};

/** The names are those that Java nodes write. */
export interface UserProperty {
  readonly key: string;
  readonly value: string;
}

export interface PublishProperties {
  layout: string;
  payloadFormatIndicator: number | undefined;
  contentType: string | undefined;
  responseTopic: string | undefined;
  correlationData: Buffer | undefined;
  userProperties: UserProperty[];
}

export function noPublishProperties(): PublishProperties {
  return {
    layout: '',
    payloadFormatIndicator: undefined,
    contentType: undefined,
    responseTopic: undefined,
    correlationData: undefined,
    userProperties: [],
  };
}

/**
 * Calls `see` for each property with where its value is, a user property's two texts one after the
 * other. False: the bytes are not what the codec lets through.
 */
function walk(bytes: Buffer, see: (property: number, start: number, end: number) => void): boolean {
  let at = 0;
  while (at < bytes.length) {
    const property = bytes[at] ?? 0;
    at += 1;
    if (letters[property] === undefined) return false;
    const texts = property === id.userProperty ? 2 : 1;
    for (let text = 0; text < texts; text += 1) {
      const short = property === id.payloadFormatIndicator;
      const start = short ? at : at + 2;
      const end = start + (short ? 1 : ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
      if (end > bytes.length) return false;
      see(property, start, end);
      at = end;
    }
  }
  return true;
}

type PropertiesVerdict = 'fine' | 'separator' | 'malformed';

/**
 * Whether a text has one of the separators of RocketMQ's properties; correlation data may have
 * them.
 */
export function judgeProperties(bytes: Buffer): PropertiesVerdict {
  let separator = false;
  const whole = walk(bytes, (property, start, end) => {
    if (property === id.correlationData || property === id.payloadFormatIndicator) return;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at];
      if (byte === 1 || byte === 2) separator = true;
    }
  });
  if (!whole) return 'malformed';
  return separator ? 'separator' : 'fine';
}

/** For bytes that `judgeProperties` finds fine. */
export function readPublishProperties(bytes: Buffer): PublishProperties {
  const read = noPublishProperties();
  let key: string | undefined;
  walk(bytes, (property, start, end) => {
    if (property === id.userProperty) {
      const text = bytes.toString('utf8', start, end);
      if (key === undefined) {
        key = text;
        return;
      }
      read.userProperties.push({ key, value: text });
      key = undefined;
    } else if (property === id.payloadFormatIndicator) {
      read.payloadFormatIndicator = bytes[start];
    } else if (property === id.correlationData) {
      read.correlationData = bytes.subarray(start, end);
    } else if (property === id.contentType) {
      read.contentType = bytes.toString('utf8', start, end);
    } else {
      read.responseTopic = bytes.toString('utf8', start, end);
    }
    read.layout += letters[property] ?? '';
  });
  return read;
}

/**
 * In the order of the layout, then what it does not name. Other producers can write any layout:
 * what may not repeat stands there once. undefined: there are none.
 */
export function encodePublishProperties(properties: PublishProperties): Buffer | undefined {
  const layout = properties.layout + unnamed(properties);
  const into = Buffer.allocUnsafe(encodedBytes(properties, layout));
  let end = 0;
  let user = 0;
  let seen = '';
  const text = (value: string) => {
    const bytes = into.write(value, end + 2);
    into.writeUInt16BE(bytes, end);
    end += 2 + bytes;
  };
  for (const letter of layout) {
    if (letter === 'u') {
      const pair = properties.userProperties[user];
      user += 1;
      if (pair === undefined) continue;
      into[end++] = id.userProperty;
      text(pair.key);
      text(pair.value);
      continue;
    }
    if (seen.includes(letter)) continue;
    seen += letter;
    if (letter === 'f') {
      into[end++] = id.payloadFormatIndicator;
      into[end++] = properties.payloadFormatIndicator ?? 0;
    } else if (letter === 't') {
      into[end++] = id.contentType;
      text(properties.contentType ?? '');
    } else if (letter === 'r' && properties.responseTopic !== undefined) {
      into[end++] = id.responseTopic;
      text(properties.responseTopic);
    } else if (letter === 'c') {
      const data = properties.correlationData;
      const bytes = data?.length ?? 0;
      into[end++] = id.correlationData;
      into.writeUInt16BE(bytes, end);
      data?.copy(into, end + 2);
      end += 2 + bytes;
    }
  }
  return end === 0 ? undefined : into.subarray(0, end);
}

/** At least; exact where no layout says what is not there. */
function encodedBytes(properties: PublishProperties, layout: string): number {
  let bytes = 3 * layout.length;
  bytes += Buffer.byteLength(properties.contentType ?? '');
  bytes += Buffer.byteLength(properties.responseTopic ?? '');
  bytes += properties.correlationData?.length ?? 0;
  for (const { key, value } of properties.userProperties) {
    bytes += 2 + Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  return bytes;
}

function unnamed(properties: PublishProperties): string {
  const { layout } = properties;
  let rest = '';
  if (properties.payloadFormatIndicator !== undefined && !layout.includes('f')) rest += 'f';
  if (properties.contentType !== undefined && !layout.includes('t')) rest += 't';
  if (properties.responseTopic !== undefined && !layout.includes('r')) rest += 'r';
  if (properties.correlationData !== undefined && !layout.includes('c')) rest += 'c';
  let users = 0;
  for (const letter of layout) if (letter === 'u') users += 1;
  return rest + 'u'.repeat(Math.max(0, properties.userProperties.length - users));
}

const illegalInText = /[\0\p{Cs}]/u;

/** Whether other producers' text can go out as a string of MQTT, section 1.5.4. */
export function isMqttText(text: string): boolean {
  // No UTF-16 unit takes more than three bytes.
  if (text.length * 3 > 65_535 && Buffer.byteLength(text) > 65_535) return false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0) return false;
    if (code > 0x7f) return !illegalInText.test(text);
  }
  return true;
}

/** Whether the bytes can be a text among RocketMQ's properties as they are. */
export function isPlainText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !bytes.includes(0);
}
