// Properties of a publish as a PUBLISH of MQTT 5.0 has them, without their length in front (3.3.2.3).
import type { PublishRequest } from '@lmqtt/ops/ops-source';

const identifiers = {
  payloadFormatIndicator: 0x01,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  userProperty: 0x26,
} as const;

const bytesMax = 65_535;

/** Longer ones than MQTT can carry are cut by nobody: `RangeError`. */
function counted(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes.length > bytesMax) throw new RangeError('a property is longer than 65,535 bytes');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function publishProperties(request: PublishRequest): Buffer | undefined {
  const { payloadFormatIndicator, contentType, responseTopic } = request;
  const { correlationData, userProperties } = request;
  const parts: Buffer[] = [];
  if (payloadFormatIndicator !== undefined)
    parts.push(Buffer.from([identifiers.payloadFormatIndicator, payloadFormatIndicator]));
  const put = (identifier: number, ...values: readonly (string | Buffer)[]): void => {
    parts.push(Buffer.from([identifier]), ...values.map(counted));
  };
  if (contentType !== undefined) put(identifiers.contentType, contentType);
  if (responseTopic !== undefined) put(identifiers.responseTopic, responseTopic);
  if (correlationData !== undefined) put(identifiers.correlationData, correlationData);
  for (const { name, value } of userProperties) put(identifiers.userProperty, name, value);
  return parts.length === 0 ? undefined : Buffer.concat(parts);
}
