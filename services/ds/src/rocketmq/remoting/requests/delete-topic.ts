import type { RemotingRequest } from '../request.ts';

/**
 * DELETE_TOPIC_IN_BROKER, 215. Field: topic. Of a light queue: its messages are gone and its
 * offsets begin again at 0, while a consumer offset may stay.
 */
export function deleteTopicRequest(topic: string): RemotingRequest {
  return { name: 'deleteTopic', fields: { topic } };
}
