/**
 * What the server's error codes mean. The server's own sentences are English and say the most: an English page shows
 * them, and the other languages say what happened in their own words, by code.
 */

const codes: Readonly<Record<string, string>> = {};
export default { codes };
