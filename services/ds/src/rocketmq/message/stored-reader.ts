// The answer of a pull to messages. Payloads stay where they are; texts that come again are decoded once. Bytes that are no
// message never end the tail: they are passed over and counted.
import type { QueueId } from '@lmqtt/common/ids';
import { Message, noEntries } from '@lmqtt/common/message';
import type { QueueEntry } from '@lmqtt/common/message';
import type { Qos } from '@lmqtt/common/qos';
import { TextCache } from '@lmqtt/common/text-cache';
import type { TopicTemplates } from '../mapping/topic-templates.ts';
import { decompressed } from './compression.ts';
import { publishPropertiesOf, readMore, textOf } from './foreign-properties.ts';
import { backEnd, emptyBody, java, own, rocket } from './property-names.ts';
import { decimal, fieldOf, findProperty, PropertyScan } from './property-scan.ts';
import { encodePublishProperties } from '@lmqtt/common/publish-properties';
import { unescaped } from './separators.ts';
import { StoredLayout, storedBytesMin, sysFlag, u32 } from './stored-layout.ts';
import { StoredTopic } from './stored-topic.ts';
import { noOffsets, StoredMessage } from './stored-message.ts';

/** Source of a pull's answer, as far as it is known. */
export interface StoredSource {
  /** One for each broker. */
  readonly partition: number;
  /** The queues that share the name; a filter may not match the topic. */
  queuesOf(lmqName: string, topic: string): readonly QueueId[];
  /**
   * The number of the placement under which this MQTT topic was stored at this broker at the time;
   * −1: another producer has chosen this queue, where messages have no order with those of the
   * topic's own.
   */
  placementOf(topic: string, queueId: number, rocketTopic: string, storedMs: number): number;
  /** Rules for messages that say no MQTT topic. */
  readonly templates?: TopicTemplates | undefined;
}

/** Messages that devices do not get, or not as they were sent. */
export interface StoredCounts {
  /** The rest of an answer, or one message of it, is no stored message, or only a part of one. */
  malformed: number;
  /** Compressed in a way that nobody knows, too large when it is decompressed, or damaged. */
  compression: number;
  /** A batch in one body. */
  batch: number;
  /** The topic cannot be one of MQTT. */
  topic: number;
  /** A rule has no topic for it, since a value is not there. */
  template: number;
  /** Delivered, without what could not be read of the properties of MQTT 5.0. */
  properties: number;
  /** Names LMQs and has no offsets in them: the broker does not index them. */
  unindexed: number;
}

/** A message that devices do not get, with where it is. */
export interface RefusedMessage {
  readonly why: keyof StoredCounts;
  readonly rocketTopic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly key: string;
  readonly tag: string;
  readonly storedMs: number;
}

const nameListsMax = 8192;
const u32Max = 0xff_ff_ff_ff;
/** Producers that say nothing. */
const defaultQos: Qos = 1;

const at = {
  lmqNames: fieldOf(rocket.lmqNames),
  lmqOffsets: fieldOf(rocket.lmqOffsets),
  topic: fieldOf(java.topic),
  qos: fieldOf(java.qos),
  empty: fieldOf(java.empty),
  more: fieldOf(java.more),
  expiryInterval: fieldOf(java.messageExpiryInterval),
  correlationData: fieldOf(java.correlationData),
  publisher: fieldOf(own.publisher),
  retain: fieldOf(own.retain),
  expiresAt: fieldOf(own.expiresAt),
  layout: fieldOf(own.layout),
  again: fieldOf(own.again),
  backEndTopic: fieldOf(backEnd.topic),
  backEndClient: fieldOf(backEnd.client),
  backEndRetain: fieldOf(backEnd.retain),
} as const;

const publishFields: ReadonlyMap<string, number> = new Map(
  [
    java.payloadFormatIndicator,
    java.contentType,
    java.responseTopic,
    java.correlationData,
    java.userProperty,
  ].map((name) => [name, fieldOf(name)]),
);

interface NameList {
  readonly names: readonly string[];
  readonly repeats: boolean;
}

const noNames: NameList = { names: [], repeats: false };

/** `extData` of a message without properties of MQTT 5.0: nothing new in it. */
const onlyQos = [0, 1, 2].map((qos) => `{"${java.qos}":"${qos}"}`);

function decodeText(buffer: Buffer, start: number, end: number): string {
  return buffer.toString('utf8', start, end);
}

export class StoredReader {
  readonly counts: StoredCounts = {
    malformed: 0,
    compression: 0,
    batch: 0,
    topic: 0,
    template: 0,
    properties: 0,
    unindexed: 0,
  };
  /** The last one of them that could be taken apart. */
  refused: RefusedMessage | undefined;
  readonly #texts = new TextCache(decodeText);
  readonly #publishers = new TextCache((buffer, start, end) =>
    unescaped(buffer.toString('utf8', start, end)),
  );
  readonly #nameLists = new Map<string, NameList>();
  readonly #layout = new StoredLayout();
  readonly #scan = new PropertyScan();
  readonly #topic = new StoredTopic(this.#layout, this.#scan);

  /** The body of a pull's answer, which may end in the middle of a message. */
  read(body: Buffer, source: StoredSource): StoredMessage[] {
    const messages: StoredMessage[] = [];
    let start = 0;
    while (start < body.length) {
      const left = body.length - start;
      const bytes = left < storedBytesMin ? 0 : u32(body, start);
      // The start of the next message is not known then.
      if (bytes < storedBytesMin || bytes > left) {
        this.counts.malformed += 1;
        break;
      }
      const end = start + bytes;
      if (this.#layout.read(body, start, end)) {
        const read = this.#message(body, source);
        if (read !== undefined) messages.push(read);
      } else {
        this.counts.malformed += 1;
      }
      start = end;
    }
    return messages;
  }

  #message(body: Buffer, source: StoredSource): StoredMessage | undefined {
    const layout = this.#layout;
    const scan = this.#scan;
    const flags = layout.sysFlag;
    scan.scan(body, layout.propertiesStart, layout.propertiesEnd);
    // Not for devices: its body is nobody's business here.
    if ((flags & sysFlag.anyBody) !== 0 && !this.#isForDevices(body, source)) return undefined;
    if ((flags & (sysFlag.innerBatch | sysFlag.unwrap)) !== 0) {
      return this.#refuse('batch', body);
    }
    let buffer = body;
    let payloadStart = layout.bodyStart;
    let payloadEnd = layout.bodyEnd;
    if ((flags & sysFlag.compressed) !== 0) {
      const payload = decompressed(body.subarray(payloadStart, payloadEnd), flags);
      if (payload === undefined) {
        return this.#refuse('compression', body);
      }
      buffer = payload;
      payloadStart = 0;
      payloadEnd = payload.length;
    }
    const rocketTopic = this.#texts.of(body, layout.topicStart, layout.topicEnd).text;
    const list = this.#names(body);
    const { names } = list;
    const more = this.#more(body);
    const topics = this.#topic;
    const said = topics.said(body, more, names);
    const made =
      said === undefined ? topics.byTemplate(body, rocketTopic, source.templates) : undefined;
    const isByTemplate = made !== undefined;
    const topic = said ?? made ?? topics.byRocketTopic(body, rocketTopic);
    if (topic === '') {
      return this.#refuse(isByTemplate ? 'template' : 'topic', body);
    }
    if (scan.is(body, at.empty, 'true') && isEmptyBody(buffer, payloadStart, payloadEnd)) {
      payloadEnd = payloadStart;
    }
    const publisherStart = scan.starts[at.publisher]!;
    const { properties } = this.counts;
    // A message to one client is retained for nobody else.
    const client = publisherStart < 0 ? topics.client(body) : undefined;
    const isRetained = client === undefined && isTrue(scan, body, at.backEndRetain);
    const expiryS = this.#expiryS(body, more);
    const message = new Message(
      topic,
      this.#qos(body, more),
      scan.has(at.retain) || isRetained,
      buffer,
      -1,
      payloadStart,
      payloadEnd,
      this.#properties(body, more),
      this.#expiresAtMs(body, expiryS),
      publisherStart < 0
        ? ''
        : this.#publishers.of(body, publisherStart, scan.ends[at.publisher]!).text,
    );
    if (expiryS >= 0) message.expiryS = Math.max(1, expiryS);
    const offsets = names.length === 0 ? noOffsets : this.#offsets(body, names.length);
    if (offsets.length > 0) message.entries = entriesOf(list, offsets, topic, source);
    message.storedMs = layout.storedMs;
    const placement = source.placementOf(topic, layout.queueId, rocketTopic, layout.storedMs);
    if (placement >= 0) message.orderKey = { placement, offset: layout.queueOffset };
    const again = scan.has(at.again) ? scan.number(body, at.again) : -1;
    const stored = new StoredMessage(layout, rocketTopic, names, offsets, message, body, again);
    stored.client = client;
    stored.isByTemplate = isByTemplate;
    if (publisherStart < 0)
      stored.isUnfit = this.counts.properties > properties || this.#isUnfit(body);
    return stored;
  }

  #refuse(why: keyof StoredCounts, body: Buffer): undefined {
    this.counts[why] += 1;
    const { topicStart, topicEnd, propertiesStart, propertiesEnd } = this.#layout;
    const { queueId, queueOffset, storedMs } = this.#layout;
    const said = (name: string): string =>
      findProperty(body, propertiesStart, propertiesEnd, name) ?? '';
    const rocketTopic = this.#texts.of(body, topicStart, topicEnd).text;
    const [key, tag] = [said(rocket.key), said(rocket.tags)];
    this.refused = { why, rocketTopic, queueId, queueOffset, key, tag, storedMs };
    return undefined;
  }

  /** True for a message that names queues, that devices could publish, or that rules are for. */
  #isForDevices(body: Buffer, { templates }: StoredSource): boolean {
    const scan = this.#scan;
    const { topicStart, topicEnd } = this.#layout;
    if (templates?.has(this.#texts.of(body, topicStart, topicEnd).text) === true) return true;
    const { topic, backEndTopic, backEndClient, lmqNames } = at;
    return [lmqNames, topic, backEndTopic, backEndClient].some((field) => scan.has(field));
  }

  /**
   * True for a message of a back end in which a property with few values, or a number, is something
   * else.
   */
  #isUnfit(body: Buffer): boolean {
    const scan = this.#scan;
    if (scan.has(at.qos) && !['0', '1', '2'].some((qos) => scan.is(body, at.qos, qos))) return true;
    const expiryS = scan.number(body, at.expiryInterval);
    if (scan.has(at.expiryInterval) && (expiryS < 0 || expiryS > u32Max)) return true;
    if (!scan.has(at.backEndRetain) || isTrue(scan, body, at.backEndRetain)) return false;
    return !['false', '0'].some((text) => scan.is(body, at.backEndRetain, text));
  }

  #names(body: Buffer): NameList {
    const start = this.#scan.starts[at.lmqNames]!;
    if (start < 0) return noNames;
    const { text } = this.#texts.of(body, start, this.#scan.ends[at.lmqNames]!);
    if (text === '') return noNames;
    const known = this.#nameLists.get(text);
    if (known !== undefined) return known;
    const names = text.split(',');
    if (this.#nameLists.size >= nameListsMax) this.#nameLists.clear();
    const list = { names, repeats: new Set(names).size < names.length };
    this.#nameLists.set(text, list);
    return list;
  }

  /** As many as there are names, or none. */
  #offsets(body: Buffer, count: number): readonly number[] {
    const start = this.#scan.starts[at.lmqOffsets]!;
    const end = this.#scan.ends[at.lmqOffsets]!;
    const offsets: number[] = [];
    let from = start;
    while (start >= 0 && offsets.length < count) {
      let to = from;
      while (to < end && body[to] !== 0x2c) to += 1;
      const offset = decimal(body, from, to);
      if (offset < 0) break;
      offsets.push(offset);
      from = to + 1;
    }
    if (offsets.length === count && from === end + 1) return offsets;
    this.counts.unindexed += 1;
    return noOffsets;
  }

  /** `extData`, where it can say what the other properties do not. */
  #more(body: Buffer): Readonly<Record<string, unknown>> | undefined {
    const scan = this.#scan;
    const start = scan.starts[at.more]!;
    // Our own messages have everything among the properties themselves.
    if (start < 0 || scan.has(at.layout)) return undefined;
    for (const text of onlyQos)
      if (scan.is(body, at.more, text) && scan.has(at.qos)) return undefined;
    const more = readMore(scan.text(body, at.more) ?? '');
    if (more === undefined) this.counts.properties += 1;
    return more;
  }

  #qos(body: Buffer, more: Readonly<Record<string, unknown>> | undefined): Qos {
    const { starts, ends } = this.#scan;
    const start = starts[at.qos]!;
    if (start >= 0 && ends[at.qos]! - start === 1) {
      const qos = body[start]! - 0x30;
      if (qos === 0 || qos === 1 || qos === 2) return qos;
    }
    const text = textOf(more, java.qos);
    return text === '0' ? 0 : text === '2' ? 2 : defaultQos;
  }

  /** The interval as published, in s; −1: there is none. */
  #expiryS(body: Buffer, more: Readonly<Record<string, unknown>> | undefined): number {
    const seconds = this.#scan.number(body, at.expiryInterval);
    if (seconds >= 0) return seconds;
    const text = textOf(more, java.messageExpiryInterval);
    return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : -1;
  }

  #expiresAtMs(body: Buffer, expiryS: number): number {
    const exact = this.#scan.number(body, at.expiresAt);
    if (exact >= 0) return exact;
    return expiryS < 0 ? 0 : this.#layout.bornMs + expiryS * 1000;
  }

  #properties(
    body: Buffer,
    more: Readonly<Record<string, unknown>> | undefined,
  ): Buffer | undefined {
    const scan = this.#scan;
    const layout = scan.text(body, at.layout) ?? '';
    if (layout === '' && more === undefined && !this.#hasPublishFields()) return undefined;
    const read = publishPropertiesOf(
      (name) => scan.text(body, publishFields.get(name) ?? -1) ?? textOf(more, name),
      layout,
      scan.has(at.correlationData),
    );
    if (read === undefined) {
      this.counts.properties += 1;
      return undefined;
    }
    return encodePublishProperties(read);
  }

  #hasPublishFields(): boolean {
    for (const index of publishFields.values()) if (this.#scan.has(index)) return true;
    return false;
  }
}

function entriesOf(
  list: NameList,
  offsets: readonly number[],
  topic: string,
  source: StoredSource,
): readonly QueueEntry[] {
  const { partition } = source;
  const { names } = list;
  let entries: QueueEntry[] | undefined;
  for (let index = 0; index < names.length; index += 1) {
    const offset = offsets[index]!;
    const name = names[index]!;
    // The broker indexes a name once, though it stands there twice.
    if (list.repeats && names.indexOf(name) < index) continue;
    for (const queue of source.queuesOf(name, topic)) {
      (entries ??= []).push({ queue, partition, offset, previous: offset - 1 });
    }
  }
  return entries ?? noEntries;
}

function isTrue(scan: PropertyScan, body: Buffer, field: number): boolean {
  return scan.has(field) && (scan.is(body, field, 'true') || scan.is(body, field, '1'));
}

function isEmptyBody(buffer: Buffer, start: number, end: number): boolean {
  return end - start === emptyBody.length && emptyBody.compare(buffer, start, end) === 0;
}
