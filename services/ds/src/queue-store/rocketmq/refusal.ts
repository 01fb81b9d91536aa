import { ReasonCode } from '@lmqtt/common/reason-code';
import { answerCodes } from '../../rocketmq/remoting/codes.ts';

/** The broker will say the same again: what the publisher is told; 0: it may say another thing. */
export function finalRefusal(code: number, remark: string): number {
  switch (code) {
    case answerCodes.messageIllegal:
    case answerCodes.lmqQuotaExceeded:
      return ReasonCode.quotaExceeded;
    case answerCodes.noPermission:
    case answerCodes.requestCodeNotSupported:
      return ReasonCode.implementationSpecificError;
    case answerCodes.systemError:
      return /timer message|AclException|accessKey|signature/i.test(remark)
        ? ReasonCode.implementationSpecificError
        : 0;
    default:
      return 0;
  }
}
