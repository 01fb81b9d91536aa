import { clientId, epoch, sessionHandle } from '@lmqtt/common/ids';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { ConnectionEnd, PresentedSession, SubscribeAnswer, SubscribeEntry } from '../link.ts';
import type { PartitionOffset, SubscriptionState } from '../session-state.ts';
import { required } from './codec.ts';
import type { Shape } from './codec.ts';
import { peerOf } from './connect.ts';
import type { PlainPeer } from './connect.ts';
import {
  optionsOf,
  plainState,
  plainSubscription,
  stateOf,
  subscriptionOf,
} from './session-state.ts';
import type { PlainOptions, PlainSessionState, PlainSubscription } from './session-state.ts';

export interface DisconnectRequest {
  readonly session: SessionHandle;
  readonly end: ConnectionEnd;
}

export interface LeaveRequest {
  /** Only this attachment ends: its node goes on with others, here or at another ds. */
  readonly goesOn: boolean;
}

export interface SubscribeRequest {
  readonly session: SessionHandle;
  readonly subscriptions: SubscribeEntry[];
}

export interface UnsubscribeRequest {
  readonly session: SessionHandle;
  readonly filters: string[];
}

interface PlainEnd {
  readonly publishWill: boolean;
  readonly sessionExpiryS?: number | undefined;
  readonly reason: string;
  readonly planned?: boolean | undefined;
}

interface PlainDisconnect {
  readonly session: number;
  readonly end: PlainEnd | null;
}

interface PlainSubscribe {
  readonly session: number;
  readonly subscriptions: readonly {
    readonly filter: string;
    readonly options: PlainOptions | null;
  }[];
}

interface PlainSubscribeAnswers {
  readonly answers: readonly {
    readonly reasonCode?: number;
    readonly subscription?: PlainSubscription;
    readonly retained?: boolean;
    readonly replacedAt?: readonly PartitionOffset[];
    readonly note?: string;
  }[];
}

interface PlainUnsubscribe {
  readonly session: number;
  readonly filters: string[];
}

export interface SubscriptionsRequest {
  readonly session: SessionHandle;
  readonly from: number;
}

interface PlainSubscriptionsRequest {
  readonly session: number;
  readonly from: number;
}

interface PlainSubscriptions {
  readonly subscriptions: readonly PlainSubscription[];
}

interface PlainSettle {
  readonly session: number;
}

interface PlainReasonCodes {
  readonly reasonCodes: number[];
}

interface PlainPresentedSession {
  readonly session: number;
  readonly clientId: string;
  readonly epoch: number;
  readonly protocolVersion: number;
  readonly keepAliveS: number;
  readonly peer: PlainPeer | null;
  readonly principal: string;
  readonly authenticationMethod?: string | undefined;
  readonly sessionExpiryS: number;
  readonly state: PlainSessionState | null;
  readonly storing: number[];
  readonly end?: PlainEnd | undefined;
}

export const disconnectRequest: Shape<DisconnectRequest, PlainDisconnect> = {
  plainOf: (request) => request,
  valueOf: (plain) => ({
    session: sessionHandle(plain.session),
    end: endOf(required(plain.end, 'end of a connection')),
  }),
};

export const subscriptionsRequest: Shape<SubscriptionsRequest, PlainSubscriptionsRequest> = {
  plainOf: (request) => request,
  valueOf: ({ session, from }) => ({ session: sessionHandle(session), from }),
};

export const subscriptionsAnswer: Shape<SubscriptionState[], PlainSubscriptions> = {
  plainOf: (subscriptions) => ({ subscriptions: subscriptions.map(plainSubscription) }),
  valueOf: ({ subscriptions }) => subscriptions.map(subscriptionOf),
};

/** The request is sent as it is. */
export const leaveRequest: Shape<LeaveRequest, LeaveRequest> = {
  plainOf: (request) => request,
  valueOf: ({ goesOn }) => ({ goesOn }),
};

export const subscribeRequest: Shape<SubscribeRequest, PlainSubscribe> = {
  plainOf: (request) => request,
  valueOf: (plain) => ({
    session: sessionHandle(plain.session),
    subscriptions: plain.subscriptions.map(({ filter, options }) => ({
      filter,
      options: optionsOf(required(options, 'options of a subscription')),
    })),
  }),
};

export const subscribeAnswers: Shape<SubscribeAnswer[], PlainSubscribeAnswers> = {
  plainOf: (answers) => ({
    answers: answers.map((answer) =>
      answer.kind === 'refused'
        ? { reasonCode: answer.reasonCode }
        : {
            subscription: plainSubscription(answer.subscription),
            retained: answer.retained,
            replacedAt: answer.replacedAt,
            ...(answer.note === undefined ? {} : { note: answer.note }),
          },
    ),
  }),
  valueOf: (plain) =>
    plain.answers.map(
      ({ reasonCode = 0, subscription, retained = false, replacedAt = [], note = '' }) =>
        subscription === undefined
          ? { kind: 'refused', reasonCode }
          : {
              kind: 'granted',
              subscription: subscriptionOf(subscription),
              retained,
              replacedAt: replacedAt.map(({ partition, offset }) => ({ partition, offset })),
              ...(note === '' ? {} : { note }),
            },
    ),
};

export const unsubscribeRequest: Shape<UnsubscribeRequest, PlainUnsubscribe> = {
  plainOf: (request) => request,
  valueOf: ({ session, filters }) => ({ session: sessionHandle(session), filters }),
};

export const settleRequest: Shape<SessionHandle, PlainSettle> = {
  plainOf: (session) => ({ session }),
  valueOf: ({ session }) => sessionHandle(session),
};

export const reasonCodes: Shape<number[], PlainReasonCodes> = {
  plainOf: (codes) => ({ reasonCodes: codes }),
  valueOf: (plain) => plain.reasonCodes,
};

export const presented: Shape<PresentedSession, PlainPresentedSession> = {
  plainOf: (session) => ({
    session: session.session,
    clientId: session.clientId,
    epoch: session.epoch,
    protocolVersion: session.protocolVersion,
    keepAliveS: session.keepAliveS,
    peer: session.peer,
    principal: session.principal,
    authenticationMethod: session.authenticationMethod,
    sessionExpiryS: session.sessionExpiryS,
    state: plainState(session.state),
    storing: session.storing,
    end: session.end,
  }),
  valueOf: (plain) => ({
    session: sessionHandle(plain.session),
    clientId: clientId(plain.clientId),
    epoch: epoch(plain.epoch),
    protocolVersion: plain.protocolVersion,
    keepAliveS: plain.keepAliveS,
    peer: peerOf(required(plain.peer, 'peer')),
    principal: plain.principal,
    authenticationMethod: plain.authenticationMethod,
    sessionExpiryS: plain.sessionExpiryS,
    state: stateOf(required(plain.state, 'state of a session')),
    storing: plain.storing,
    end: plain.end && endOf(plain.end),
  }),
};

function endOf(plain: PlainEnd): ConnectionEnd {
  const { publishWill, sessionExpiryS, reason, planned } = plain;
  return { publishWill, sessionExpiryS, reason, planned: planned ?? false };
}
