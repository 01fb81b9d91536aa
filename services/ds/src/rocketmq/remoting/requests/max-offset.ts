import type { RemotingRequest } from '../request.ts';
import { placeFields, type QueuePlace } from './queue-place.ts';

/**
 * GET_MAX_OFFSET, 30. Fields: topic | queueId. Answer: offset, one past the last message; 0 of a
 * light queue that does not exist.
 */
export function maxOffsetRequest(place: QueuePlace): RemotingRequest {
  return { name: 'maxOffset', fields: placeFields(place) };
}
