/**
 * What this browser's authenticators are asked to make or sign, and what they did: as JSON, the way the server has it.
 * Loaded when somebody uses a passkey, and not before.
 */

import { strings } from "./strings";

/** Of options and credentials, as the specification writes them. */
export type Json = Record<string, unknown>;

/** A new passkey; the browser asks its user where it is to be kept. */
export async function makePasskey(options: Json): Promise<Json> {
  return await ask(() => navigator.credentials.create({ publicKey: toMake(options) }));
}

/** A signature with one of the passkeys that this browser has for the server; the browser asks which. */
export async function usePasskey(options: Json): Promise<Json> {
  return await ask(() => navigator.credentials.get({ publicKey: toSign(options) }));
}

async function ask(work: () => Promise<Credential | null>): Promise<Json> {
  try {
    return toJson((await work()) as PublicKeyCredential);
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "InvalidStateError") throw new Error(strings.security.passkeys.known, { cause: error });
    // What the browser says of why is not for people; mostly they have cancelled it, or had nothing to choose from.
    if (name !== "") throw new Error(strings.security.passkeys.cancelled, { cause: error });
    throw error;
  }
}

function toMake(options: Json): PublicKeyCredentialCreationOptions {
  const told = options as unknown as PublicKeyCredentialCreationOptionsJSON;
  if ("parseCreationOptionsFromJSON" in PublicKeyCredential) return PublicKeyCredential.parseCreationOptionsFromJSON(told);
  return {
    ...told,
    challenge: bytes(told.challenge),
    user: { ...told.user, id: bytes(told.user.id) },
    excludeCredentials: told.excludeCredentials?.map(({ id }) => ({ type: "public-key", id: bytes(id) })) ?? [],
    extensions: {},
  } as PublicKeyCredentialCreationOptions;
}

function toSign(options: Json): PublicKeyCredentialRequestOptions {
  const told = options as unknown as PublicKeyCredentialRequestOptionsJSON;
  if ("parseRequestOptionsFromJSON" in PublicKeyCredential) return PublicKeyCredential.parseRequestOptionsFromJSON(told);
  return { ...told, challenge: bytes(told.challenge), allowCredentials: [], extensions: {} } as PublicKeyCredentialRequestOptions;
}

function toJson(credential: PublicKeyCredential): Json {
  if ("toJSON" in credential) return credential.toJSON() as unknown as Json;
  const { id, rawId, type, response } = credential as PublicKeyCredential;
  const parts: Json = { clientDataJSON: text(response.clientDataJSON) };
  if (response instanceof AuthenticatorAttestationResponse) {
    parts["attestationObject"] = text(response.attestationObject);
  } else if (response instanceof AuthenticatorAssertionResponse) {
    parts["authenticatorData"] = text(response.authenticatorData);
    parts["signature"] = text(response.signature);
    parts["userHandle"] = response.userHandle === null ? null : text(response.userHandle);
  }
  return { id, rawId: text(rawId), type, response: parts };
}

/** From base64url, and to it. */
function bytes(value: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(value.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
}

function text(value: ArrayBuffer): string {
  const plain = btoa(String.fromCharCode(...new Uint8Array(value)));
  return plain.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
