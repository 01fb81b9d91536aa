// The MQTT topic of a stored message: what it says, else what a rule makes of it.
import { isUtf8 } from 'node:buffer';
import { type ClientId, clientId } from '@lmqtt/common/ids';
import { TextCache } from '@lmqtt/common/text-cache';
import { isValidTopicFilter, isWildcardFilter } from '@lmqtt/common/topic';
import type { TopicTemplates } from '../mapping/topic-templates.ts';
import { topicOfLmqName } from '../names/lmq-name.ts';
import { textOf } from './foreign-properties.ts';
import { backEnd, java } from './property-names.ts';
import { fieldOf, findProperty, type PropertyScan } from './property-scan.ts';
import type { StoredLayout } from './stored-layout.ts';

const at = {
  topic: fieldOf(java.topic),
  backEndTopic: fieldOf(backEnd.topic),
  backEndClient: fieldOf(backEnd.client),
} as const;

/** Topic of the message that layout and scan read last; '' is one that MQTT does not allow. */
export class StoredTopic {
  readonly #layout: StoredLayout;
  readonly #scan: PropertyScan;
  /** Illegal topics are kept as ''. */
  readonly #topics = new TextCache(decodeTopic);

  constructor(layout: StoredLayout, scan: PropertyScan) {
    this.#layout = layout;
    this.#scan = scan;
  }

  /** undefined: it says none. */
  said(
    body: Buffer,
    more: Readonly<Record<string, unknown>> | undefined,
    names: readonly string[],
  ): string | undefined {
    const real = textOf(more, java.realTopic);
    if (real !== undefined && real.trim() !== '') return isTopicName(real) ? real : '';
    const start = this.#scan.starts[at.topic]!;
    const end = this.#scan.ends[at.topic]!;
    if (start >= 0 && end > start) return this.#topics.of(body, start, end).text;
    const shortStart = this.#scan.starts[at.backEndTopic]!;
    const shortEnd = this.#scan.ends[at.backEndTopic]!;
    if (shortStart >= 0 && shortEnd > shortStart)
      return this.#topics.of(body, shortStart, shortEnd).text;
    // The Java nodes take the last one.
    for (let index = names.length - 1; index >= 0; index -= 1) {
      const topic = topicOfLmqName(names[index]!);
      if (topic !== undefined) return isTopicName(topic) ? topic : '';
    }
    return undefined;
  }

  /** By a rule; undefined: there is none for it; '' also where a value of the rule is not there. */
  byTemplate(
    body: Buffer,
    rocketTopic: string,
    templates: TopicTemplates | undefined,
  ): string | undefined {
    if (templates === undefined || this.#scan.has(at.backEndClient)) return undefined;
    const { propertiesStart, propertiesEnd } = this.#layout;
    const topic = templates.topicOf(rocketTopic, (name) =>
      findProperty(body, propertiesStart, propertiesEnd, name),
    );
    return topic === undefined || isTopicName(topic) ? topic : '';
  }

  /** The topic of a message that names none. */
  byRocketTopic(body: Buffer, rocketTopic: string): string {
    const client = this.client(body);
    const toClient = `${rocketTopic}/p2p/${client}`;
    if (client !== undefined && isTopicName(toClient)) return toClient;
    return isTopicName(rocketTopic) ? rocketTopic : '';
  }

  /** The client that a back end has sent it to; undefined: none, or it does not say. */
  client(body: Buffer): ClientId | undefined {
    const text = this.#scan.text(body, at.backEndClient);
    return text === undefined || text === '' ? undefined : clientId(text);
  }
}

function decodeTopic(buffer: Buffer, start: number, end: number): string {
  if (!isUtf8(buffer.subarray(start, end))) return '';
  const topic = buffer.toString('utf8', start, end);
  return isTopicName(topic) ? topic : '';
}

function isTopicName(topic: string): boolean {
  return isValidTopicFilter(topic) && !isWildcardFilter(topic);
}
