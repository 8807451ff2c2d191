// @ts-check
// Reads a response that refuses a request: its text without secrets, and its Retry-After.

/** A day in milliseconds. A longer `Retry-After` is ignored. */
export const DAY = 86_400_000;

/** Replaces the secrets of the request and long words in a text from a server by "…". */
export function withoutSecrets(text, secrets) {
  const forms = secrets.filter(Boolean).flatMap((secret) => [secret, encodeURIComponent(secret)]);
  const hidden = forms.reduce((rest, form) => rest.replaceAll(form, "…"), text);
  return hidden.replaceAll(/\S{40,}/g, "…");
}

/**
 * Replaces what may be a secret in a text of the app or of another library by "…": tokens, the
 * passwords and the parameters of links, and long words.
 */
export function redact(text) {
  const hidden = text
    .replaceAll(/\b(Bearer)\s+\S+/gi, "$1 …")
    .replaceAll(/\beyJ\S*/g, "…")
    .replaceAll(/(:\/\/)[^\s/?#@]*@/g, "$1…@")
    .replaceAll(/(:\/\/[^\s?#]*)[?#]\S*/g, "$1…")
    .replaceAll(/[?&#][^\s=&]*=\S*/g, "…");
  return withoutSecrets(hidden, []);
}

/**
 * Converts a `Retry-After` header, which has seconds or a date, to a Date. Undefined if it names no
 * time, one in the past, or one that is more than a day ahead.
 *
 * @param {string | null} header
 */
export function retryTime(header) {
  const at = Number(header) > 0 ? Date.now() + Number(header) * 1000 : Date.parse(header);
  return at > Date.now() && at - Date.now() <= DAY ? new Date(at) : undefined;
}
