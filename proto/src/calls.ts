import type { SessionHandle } from '@lmqtt/common/ids';
import type {
  ConnectAnswer,
  ConnectRequest,
  PresentedSession,
  ReauthenticateAnswer,
  RetainedAnswer,
  RetainedRequest,
  SubscribeAnswer,
} from './link.ts';
import type { SubscriptionState } from './session-state.ts';
import { callType, emptyShape } from './calls/codec.ts';
import type { CallType, Codec } from './calls/codec.ts';
import {
  authenticationStep,
  connectAnswer,
  connectRequest,
  reauthenticateAnswer,
} from './calls/connect.ts';
import type { AuthenticationStep } from './calls/connect.ts';
import { retainedAnswer, retainedRequest } from './calls/retained.ts';
import {
  disconnectRequest,
  leaveRequest,
  presented,
  reasonCodes,
  settleRequest,
  subscribeAnswers,
  subscribeRequest,
  subscriptionsAnswer,
  subscriptionsRequest,
  unsubscribeRequest,
} from './calls/session.ts';
import type {
  DisconnectRequest,
  LeaveRequest,
  SubscribeRequest,
  SubscriptionsRequest,
  UnsubscribeRequest,
} from './calls/session.ts';
import { undeliveredRequest } from './calls/undelivered.ts';
import type { UndeliveredRequest } from './calls/undelivered.ts';

export type { CallType, Codec } from './calls/codec.ts';
export type { AuthenticationStep } from './calls/connect.ts';

/** The calls of cs: methods of the service `Calls` of link.proto. */
export interface Calls {
  readonly connect: CallType<ConnectRequest, ConnectAnswer>;
  readonly continueConnect: CallType<AuthenticationStep, ConnectAnswer>;
  readonly subscriptionsOf: CallType<SubscriptionsRequest, SubscriptionState[]>;
  readonly reauthenticate: CallType<AuthenticationStep, ReauthenticateAnswer>;
  readonly disconnect: CallType<DisconnectRequest, void>;
  readonly subscribe: CallType<SubscribeRequest, SubscribeAnswer[]>;
  readonly unsubscribe: CallType<UnsubscribeRequest, number[]>;
  readonly settle: CallType<SessionHandle, void>;
  readonly undelivered: CallType<UndeliveredRequest, void>;
  readonly readRetained: CallType<RetainedRequest, RetainedAnswer>;
  /** A planned stop. */
  readonly leave: CallType<LeaveRequest, void>;
}

export const calls: Calls = {
  connect: callType('Connect', connectRequest, connectAnswer),
  continueConnect: callType('ContinueConnect', authenticationStep, connectAnswer),
  subscriptionsOf: callType('Subscriptions', subscriptionsRequest, subscriptionsAnswer),
  reauthenticate: callType('Reauthenticate', authenticationStep, reauthenticateAnswer),
  disconnect: callType('Disconnect', disconnectRequest, emptyShape),
  subscribe: callType('Subscribe', subscribeRequest, subscribeAnswers),
  unsubscribe: callType('Unsubscribe', unsubscribeRequest, reasonCodes),
  settle: callType('Settle', settleRequest, emptyShape),
  undelivered: callType('Undelivered', undeliveredRequest, emptyShape),
  readRetained: callType('ReadRetained', retainedRequest, retainedAnswer),
  leave: callType('Leave', leaveRequest, emptyShape),
};

/** A session as it is presented; not a call of its own. */
export const presentedSession: Codec<PresentedSession> = callType(
  'Present',
  presented,
  emptyShape,
).request;
