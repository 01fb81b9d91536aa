import { clientId, epoch, sessionHandle } from '@lmqtt/common/ids';
import type { SessionHandle } from '@lmqtt/common/ids';
import type { ConnectAnswer, ConnectRequest, Peer, ReauthenticateAnswer, Will } from '../link.ts';
import { required } from './codec.ts';
import type { Shape } from './codec.ts';
import { ownMessageOfPlain, plainMessage } from './message.ts';
import type { PlainMessage } from './message.ts';
import { plainState, stateOf } from './session-state.ts';
import type { PlainSessionState } from './session-state.ts';

/** A step of enhanced authentication, before CONNACK or of a live session. */
export interface AuthenticationStep {
  readonly session: SessionHandle;
  readonly authenticationData: Buffer | undefined;
  /** The first of a re-authentication. */
  readonly start: boolean;
}

export interface PlainPeer {
  readonly address: string;
  readonly port: number;
  readonly tls: boolean;
  readonly certificateSubject?: string | undefined;
  readonly certificateUser?: string | undefined;
  readonly listener?: string | undefined;
  readonly authentication?: string | undefined;
  readonly mount?: string | undefined;
}

interface PlainWill {
  readonly message: PlainMessage | null;
  readonly delayS: number;
  readonly messageExpiryS?: number | undefined;
}

interface PlainConnectRequest {
  readonly session: number;
  readonly protocolVersion: number;
  readonly clientId: string;
  readonly randomClientId: boolean;
  readonly cleanStart: boolean;
  readonly sessionExpiryS: number;
  readonly keepAliveS: number;
  readonly userName?: string | undefined;
  readonly password?: Buffer | undefined;
  readonly authenticationMethod?: string | undefined;
  readonly authenticationData?: Buffer | undefined;
  readonly will?: PlainWill | undefined;
  readonly peer: PlainPeer | null;
}

interface PlainStep {
  readonly session: number;
  readonly authenticationData?: Buffer | undefined;
  readonly start: boolean;
}

interface PlainConnectAnswer {
  readonly challenge?: { readonly authenticationData?: Buffer | undefined };
  readonly refused?: { readonly reasonCode: number; readonly reason: string };
  readonly accepted?: PlainAccepted;
}

interface PlainAccepted {
  readonly epoch: number;
  readonly sessionPresent: boolean;
  readonly state: PlainSessionState | null;
  readonly subscriptionsLeft: number;
  readonly sessionExpiryS: number;
  readonly principal: string;
  readonly rights?: string | undefined;
  readonly packetBytesMax?: number | undefined;
  readonly authenticationData?: Buffer | undefined;
}

interface PlainReauthenticateAnswer {
  readonly reasonCode: number;
  readonly authenticationData?: Buffer | undefined;
}

const success = 0x00;
const continueAuthentication = 0x18;

export const connectRequest: Shape<ConnectRequest, PlainConnectRequest> = {
  plainOf: (request) => ({
    session: request.session,
    protocolVersion: request.protocolVersion,
    clientId: request.clientId,
    randomClientId: request.randomClientId,
    cleanStart: request.cleanStart,
    sessionExpiryS: request.sessionExpiryS,
    keepAliveS: request.keepAliveS,
    userName: request.userName,
    password: request.password,
    authenticationMethod: request.authenticationMethod,
    authenticationData: request.authenticationData,
    will: request.will && plainWill(request.will),
    peer: request.peer,
  }),
  valueOf: (plain) => ({
    session: sessionHandle(plain.session),
    protocolVersion: plain.protocolVersion,
    clientId: clientId(plain.clientId),
    randomClientId: plain.randomClientId,
    cleanStart: plain.cleanStart,
    sessionExpiryS: plain.sessionExpiryS,
    keepAliveS: plain.keepAliveS,
    userName: plain.userName,
    password: plain.password,
    authenticationMethod: plain.authenticationMethod,
    authenticationData: plain.authenticationData,
    will: plain.will && willOf(plain.will),
    peer: peerOf(required(plain.peer, 'peer')),
  }),
};

export const authenticationStep: Shape<AuthenticationStep, PlainStep> = {
  plainOf: (step) => step,
  valueOf: (plain) => ({
    session: sessionHandle(plain.session),
    authenticationData: plain.authenticationData,
    start: plain.start,
  }),
};

export const connectAnswer: Shape<ConnectAnswer, PlainConnectAnswer> = {
  plainOf(answer) {
    switch (answer.kind) {
      case 'continue':
        return { challenge: { authenticationData: answer.authenticationData } };
      case 'refused':
        return { refused: { reasonCode: answer.reasonCode, reason: answer.reason } };
      case 'accepted':
        return {
          accepted: {
            epoch: answer.epoch,
            sessionPresent: answer.sessionPresent,
            state: plainState(answer.state),
            subscriptionsLeft: answer.subscriptionsLeft,
            sessionExpiryS: answer.sessionExpiryS,
            principal: answer.principal,
            rights: answer.rights,
            packetBytesMax: answer.packetBytesMax,
            authenticationData: answer.authenticationData,
          },
        };
    }
  },
  valueOf({ challenge, refused, accepted }) {
    if (accepted !== undefined) {
      return {
        kind: 'accepted',
        epoch: epoch(accepted.epoch),
        sessionPresent: accepted.sessionPresent,
        state: stateOf(required(accepted.state, 'state of a session')),
        subscriptionsLeft: accepted.subscriptionsLeft,
        sessionExpiryS: accepted.sessionExpiryS,
        principal: accepted.principal,
        rights: accepted.rights,
        packetBytesMax: accepted.packetBytesMax,
        authenticationData: accepted.authenticationData,
      };
    }
    if (refused !== undefined) {
      return { kind: 'refused', reasonCode: refused.reasonCode, reason: refused.reason };
    }
    const { authenticationData } = required(challenge, 'answer of a connect');
    return { kind: 'continue', authenticationData };
  },
};

export const reauthenticateAnswer: Shape<ReauthenticateAnswer, PlainReauthenticateAnswer> = {
  plainOf(answer) {
    if (answer.kind === 'refused') return { reasonCode: answer.reasonCode };
    const reasonCode = answer.kind === 'continue' ? continueAuthentication : success;
    return { reasonCode, authenticationData: answer.authenticationData };
  },
  valueOf({ reasonCode, authenticationData }) {
    if (reasonCode === success) return { kind: 'success', authenticationData };
    if (reasonCode === continueAuthentication) return { kind: 'continue', authenticationData };
    return { kind: 'refused', reasonCode };
  },
};

export function peerOf(plain: PlainPeer): Peer {
  const { address, port, tls, certificateSubject, certificateUser } = plain;
  const { listener, authentication, mount } = plain;
  return {
    ...{ address, port, tls, certificateSubject, certificateUser },
    ...{ listener, authentication, mount },
  };
}

function plainWill(will: Will): PlainWill {
  const { delayS, messageExpiryS } = will;
  return { message: plainMessage(will.message), delayS, messageExpiryS };
}

/** Kept for as long as the client is connected: it must not hold on to a frame. */
function willOf(plain: PlainWill): Will {
  return {
    message: ownMessageOfPlain(required(plain.message, 'message of a will')),
    delayS: plain.delayS,
    messageExpiryS: plain.messageExpiryS,
  };
}
