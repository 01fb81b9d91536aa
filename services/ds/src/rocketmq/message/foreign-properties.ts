// Properties of MQTT 5.0 as they are stored: by name among the message's properties (ours, and
// other producers'), or in the JSON of `extData` (Java nodes'). Texts of others are taken only
// where MQTT could carry them.
import { java } from './property-names.ts';
import { isMqttText, noPublishProperties } from '@lmqtt/common/publish-properties';
import type { PublishProperties, UserProperty } from '@lmqtt/common/publish-properties';

/** By name; undefined: not there. */
type Lookup = (name: string) => string | undefined;

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;
const correlationBytesMax = 65_535;

/** The map in `extData`; undefined where it is none. */
export function readMore(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function textOf(
  more: Readonly<Record<string, unknown>> | undefined,
  name: string,
): string | undefined {
  if (more === undefined || !Object.hasOwn(more, name)) return undefined;
  const value = more[name];
  return typeof value === 'string' ? value : undefined;
}

/**
 * `layout`: which there were, for messages of ours. `binary`: correlation data is base64, as we and
 * other producers write it, rather than the text of a Java node. undefined: something in them
 * cannot be read.
 */
export function publishPropertiesOf(
  lookup: Lookup,
  layout: string,
  binary: boolean,
): PublishProperties | undefined {
  const read = noPublishProperties();
  read.layout = layout;
  const format = lookup(java.payloadFormatIndicator);
  if (format !== undefined) {
    if (format !== '0' && format !== '1') return undefined;
    read.payloadFormatIndicator = Number(format);
  }
  read.contentType = lookup(java.contentType);
  read.responseTopic = lookup(java.responseTopic);
  const correlation = lookup(java.correlationData);
  if (correlation !== undefined) {
    const asBase64 = binary && correlation.length % 4 === 0 && base64.test(correlation);
    read.correlationData = Buffer.from(correlation, asBase64 ? 'base64' : 'utf8');
    if (read.correlationData.length > correlationBytesMax) return undefined;
  }
  const users = lookup(java.userProperty);
  if (users !== undefined) {
    const pairs = userProperties(users);
    if (pairs === undefined) return undefined;
    read.userProperties = pairs;
  }
  const { contentType, responseTopic } = read;
  if (contentType !== undefined && !isMqttText(contentType)) return undefined;
  if (responseTopic !== undefined && !isResponseTopic(responseTopic)) return undefined;
  return read;
}

function isResponseTopic(text: string): boolean {
  return text !== '' && !/[+#]/.test(text) && isMqttText(text); // [MQTT-3.3.2-14]
}

function userProperties(json: string): UserProperty[] | undefined {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list)) return undefined;
  const pairs: UserProperty[] = [];
  for (const item of list) {
    if (!isRecord(item)) return undefined;
    const key = textOf(item, 'key');
    const value = textOf(item, 'value');
    if (key === undefined || value === undefined) return undefined;
    if (!isMqttText(key) || !isMqttText(value)) return undefined;
    pairs.push({ key, value });
  }
  return pairs;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
