import { ReasonCode } from '@lmqtt/common/reason-code';

/** Why ds wants a session back, for the log and the metrics. */
export function kickReason(reasonCode: number): string {
  switch (reasonCode) {
    case ReasonCode.sessionTakenOver:
      return 'taken over';
    case ReasonCode.administrativeAction:
      return 'administrative action';
    case ReasonCode.notAuthorized:
      return 'not authorized any more';
    case ReasonCode.maximumConnectTime:
      return 'its identity has ended';
    default:
      return 'closed by the server';
  }
}

/**
 * Reasons that 3.1.1 has a return code for (3.2.2.3); for others it is closed without an answer.
 */
export function hasReturnCode(reasonCode: number): boolean {
  switch (reasonCode) {
    case ReasonCode.unsupportedProtocolVersion:
    case ReasonCode.clientIdentifierNotValid:
    case ReasonCode.serverUnavailable:
    case ReasonCode.serverBusy:
    case ReasonCode.quotaExceeded:
    case ReasonCode.connectionRateExceeded:
    case ReasonCode.badUserNameOrPassword:
    case ReasonCode.notAuthorized:
    case ReasonCode.banned:
    case ReasonCode.useAnotherServer:
    case ReasonCode.serverMoved:
      return true;
    default:
      return false;
  }
}
