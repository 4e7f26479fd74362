// What reader.mjs and browser.mjs believe of what comes: subscribing.md, rules of reading.
// Run: not by itself. Keep it beside them.

const FIGURES = ['rate', 'persons', 'coverage'];

/** The window that a message is; null where it is none. */
export function windowOf(subject, bytes, isAnswer) {
  try {
    const found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const [, , , site, zone] = subject.split('.');
    const fits = found.type === 'WindowV1' && found.site === site && found.zone === zone;
    const readable = Number.isFinite(found.end) && found.end >= 0 && found.end < 2 ** 63
      && FIGURES.every((name) => (found[name] ?? null) === null || typeof found[name] === 'number');
    return !isAnswer && fits && readable ? found : null;
  } catch {
    return null;
  }
}

/** Whether the headers of a live message say that it is an answer of the server's, or of a service. */
export function isAnswer(headers) {
  const names = headers?.keys().map((name) => name.toLowerCase()) ?? [];
  return Boolean(headers?.code) || names.some((name) => name === 'status' || name.startsWith('nats-service-error'));
}

/** The same of a stored message's headers, which come as text in base64. */
export function wasAnswer(hdrs) {
  return /^NATS\/1\.0 +\d|^(status|nats-service-error[^:]*):/im.test(atob(hdrs ?? ''));
}

/** The bytes of a stored message. */
export function stored(message) {
  return Uint8Array.from(atob(message.data ?? ''), (char) => char.charCodeAt(0));
}

/** A time as text, to the second, in UTC. */
export function moment(nanoseconds) {
  return `${new Date(nanoseconds / 1e6).toISOString().slice(0, 19)}Z`;
}
