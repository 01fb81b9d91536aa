import type { RemotingRequest } from '../request.ts';
import { placeFields, type QueuePlace } from './queue-place.ts';

/**
 * UPDATE_CONSUMER_OFFSET, 15. Fields: consumerGroup | topic | queueId | commitOffset. Taken as it
 * is given, backwards too.
 */
export function updateConsumerOffsetRequest(
  group: string,
  place: QueuePlace,
  offset: number,
): RemotingRequest {
  return {
    name: 'updateConsumerOffset',
    fields: { ...placeFields(place), consumerGroup: group, commitOffset: String(offset) },
  };
}
