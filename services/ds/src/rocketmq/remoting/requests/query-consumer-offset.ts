import type { RemotingRequest } from '../request.ts';
import { placeFields, type QueuePlace } from './queue-place.ts';

/**
 * QUERY_CONSUMER_OFFSET, 14. Fields: consumerGroup | topic | queueId | setZeroIfNotFound. Answer:
 * offset; code 22 where none was ever committed (4.9 knows no such flag and answers 0).
 */
export function queryConsumerOffsetRequest(group: string, place: QueuePlace): RemotingRequest {
  return {
    name: 'queryConsumerOffset',
    fields: { ...placeFields(place), consumerGroup: group, setZeroIfNotFound: 'false' },
  };
}
