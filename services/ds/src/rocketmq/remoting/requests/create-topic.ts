import type { RemotingRequest } from '../request.ts';

export interface NewTopic {
  readonly topic: string;
  readonly readQueues: number;
  readonly writeQueues: number;
  /** 5.x: `+message.type=DELAY`. */
  readonly attributes?: string;
}

/**
 * UPDATE_AND_CREATE_TOPIC, 17. Fields: topic | defaultTopic | readQueueNums | writeQueueNums |
 * perm, 4 read + 2 write | topicFilterType | topicSysFlag | order | attributes.
 */
export function createTopicRequest(topic: NewTopic): RemotingRequest {
  return {
    name: 'createTopic',
    fields: {
      topic: topic.topic,
      defaultTopic: 'TBW102',
      readQueueNums: String(topic.readQueues),
      writeQueueNums: String(topic.writeQueues),
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
      ...(topic.attributes === undefined ? {} : { attributes: topic.attributes }),
    },
  };
}
