import type { AuthSource } from '@lmqtt/common/auth-sources';
import type { ClientId } from '@lmqtt/common/ids';
import type { ReasonCode } from '@lmqtt/common/reason-code';
import type { AuthPeer, Principal } from './auth-provider.ts';

/**
 * One method of enhanced authentication (MQTT 5.0, 4.12), for CONNECT and for re-authentication
 * alike.
 *
 * Promises
 * - An exchange belongs to one client and one attempt. It holds nothing that has to be given back:
 *   one that is no longer stepped is simply forgotten.
 * - `step` is given the Authentication Data of CONNECT or AUTH, one after another, and never
 *   rejects. After `success` or `failure` the exchange is over.
 * - A failure says nothing about its cause to the client but its reason code.
 */
export interface EnhancedAuth {
  /** The Authentication Method's name, such as `SCRAM-SHA-256`. */
  readonly method: string;
  /** Source of the users that it knows. */
  readonly source: AuthSource;
  start(request: EnhancedAuthRequest): EnhancedAuthExchange;
}

export interface EnhancedAuthRequest {
  readonly clientId: ClientId;
  /** User name of the CONNECT; a method may use or ignore it. */
  readonly userName?: string | undefined;
  readonly peer: AuthPeer;
}

export interface EnhancedAuthExchange {
  /** The name that the client goes by, not verified; undefined until it has said one. */
  readonly user: string | undefined;
  step(authenticationData: Buffer | undefined): Promise<EnhancedAuthStep>;
}

export type EnhancedAuthStep =
  | { readonly kind: 'continue'; readonly authenticationData: Buffer | undefined }
  | {
      readonly kind: 'success';
      readonly principal: Principal;
      readonly authenticationData: Buffer | undefined;
    }
  | { readonly kind: 'failure'; readonly reasonCode: ReasonCode };
