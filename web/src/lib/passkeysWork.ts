/** Whether this browser has passkeys for the page: they need a host name, and a connection that nobody reads. */
export function passkeysWork(): boolean {
  return "PublicKeyCredential" in window && !/^[\d.]+$|:/.test(location.hostname);
}
