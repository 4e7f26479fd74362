// What is taken for a message or for an answer. Readers share an account: any of them can have a genuine answer, or an
// error, sent to a subject or an inbox that the page listens to (ADR 35). So both have to fit what was subscribed or asked.

const ROOT = "moretta.v1.";

/** The streams that are read, each with the subjects that are listened to. */
export const STREAMS = {
  WINDOWS: `${ROOT}windows.*.*`,
  ALERTS: `${ROOT}alerts.*.*.*`,
  OPERATIONS: `${ROOT}operations.*.*.*`,
  CAMERAS: `${ROOT}cameras.*.*`,
};

const isNumber = Number.isFinite;
const isText = (one) => typeof one === "string";
const isBoolean = (one) => typeof one === "boolean";
const isShare = (one) => isNumber(one) && one >= 0 && one <= 1;
const isInterval = (one) => Array.isArray(one) && one.length === 2 && one.every(isShare);
const isTexts = (one) => Array.isArray(one) && one.every(isText);
const maybe = (is) => (one) => one === null || one === undefined || is(one);
const isLifetime = (one) => [one.start, one.end, one.pictures, one.late].every(isNumber);

const TIMES = ["start", "end", "since", "until", "at"];
const PARTS = ["lifetime", "periods"];
const NS = 1e6;

/** A message or an answer with its times, RFC 3339 text, as nanoseconds; what is no such text becomes NaN, which fits nowhere. */
export function timed(one) {
  if (Array.isArray(one)) return one.map(timed);
  if (one === null || typeof one !== "object") return one;
  const read = ([name, value]) => {
    if (TIMES.includes(name) && value !== null) return [name, isText(value) ? Date.parse(value) * NS : NaN];
    return [name, PARTS.includes(name) ? timed(value) : value];
  };
  return Object.fromEntries(Object.entries(one).map(read));
}

/** Nanoseconds as a question has them. */
export const asText = (nanoseconds) => new Date(Math.round(nanoseconds / NS)).toISOString();

const FIGURES = {
  start: isNumber, end: isNumber, suppressed: maybe(isText), gaps: maybe(isTexts), rate: maybe(isShare), interval: maybe(isInterval),
  sampling_interval: maybe(isInterval), adjusted: maybe(isBoolean), coverage: maybe(isShare),
  ...Object.fromEntries(["persons", "masked", "unmasked", "incorrect", "unknown"].map((name) => [name, maybe(isNumber)])),
};
const SHAPES = new Map(Object.entries({
  WindowV1: [["windows", "site", "zone"], { ...FIGURES, profile: isText, model: maybe(isText) }],
  AlertV1: [["alerts", "site", "zone", "rule"], {
    profile: isText, state: isText, since: isNumber, start: isNumber, end: isNumber, rate: isShare, interval: isInterval, persons: isNumber,
    fire_below: isShare,
  }],
  OperationalAlertV1: [["operations", "site", "kind", "name"], { state: isText, since: isNumber, at: isNumber, reason: maybe(isText) }],
  CameraV1: [["cameras", "site", "camera"], {
    state: isText, reason: maybe(isText), since: isNumber, at: isNumber, lifetime: maybe(isLifetime), fps: maybe(isNumber),
    analysed_fps: maybe(isNumber), shed_share: maybe(isShare),
  }],
}));
const PERIOD = {
  ...FIGURES, windows_published: isNumber, windows_expected: maybe(isNumber), windows_suppressed: maybe(isNumber), profiles: isTexts, models: maybe(isTexts),
};

const has = (shape, one) => Object.entries(shape).every(([name, is]) => is(one[name]));
const isSpan = (one) => one.start === undefined || one.end > one.start;

/** Whether a message is of the type, site, zone and so on that travel on its subject, and can be shown. */
export function fits(message, subject) {
  const [tokens, shape] = SHAPES.get(message?.type) ?? [];
  if (tokens === undefined) return false;
  const [family, ...names] = tokens;
  return subject === ROOT + [family, ...names.map((name) => message[name])].join(".") && has(shape, message) && isSpan(message);
}

/** Whether headers, as nats-core has them, hold no status of the server and no error of a service. */
export function isPlain(headers) {
  return headers === undefined || (headers.code === 0 && !headers.keys().some((key) => /^nats-service-error/i.test(key)));
}

/** Whether a subject is one of a row with `*` in it. */
export function matches(row, subject) {
  const [wanted, found] = [row.split("."), subject.split(".")];
  return wanted.length === found.length && wanted.every((one, index) => one === "*" || one === found[index]);
}

const API = "io.nats.jetstream.api.v1.";
const MISSING = { stream: 10_059, message: 10_037 };

/** The subjects of a stream that its STREAM.INFO tells; none of one that is not there; null if this answers something else. */
export function subjectsOf(answer, stream) {
  if (answer?.type !== `${API}stream_info_response`) return null;
  if (answer.error) return answer.error.err_code === MISSING.stream ? [] : null;
  if (answer.config?.name !== stream) return null;
  return Object.keys(answer.state?.subjects ?? {}).filter((one) => matches(STREAMS[stream], one));
}

/** What STREAM.MSG.GET answered: `{message, storedMs}`, `{}` if nothing of use is stored, null if this answers something else. */
export function storedOf(answer, subject) {
  if (answer?.type !== `${API}stream_msg_get_response`) return null;
  if (answer.error) return answer.error.err_code === MISSING.message ? {} : null;
  const { subject: found, data, hdrs, time } = answer.message ?? {};
  if (found !== subject) return null;
  const message = isPlainText(hdrs) ? timed(parsed(data)) : null;
  return fits(message, subject) ? { message, storedMs: Date.parse(String(time).replace(/(\.\d{3})\d+/, "$1")) } : {};
}

function isPlainText(base64) {
  if (base64 === undefined) return true;
  const text = decoded(base64) ?? "NATS/1.0 400";
  return /^NATS\/1\.0\s*\r\n/.test(text) && !/^nats-service-error/im.test(text);
}

function decoded(base64) {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (one) => one.charCodeAt(0)));
  } catch {
    return null;
  }
}

function parsed(base64) {
  try {
    return JSON.parse(decoded(base64));
  } catch {
    return null;
  }
}

const NOW_WITHIN = 60e9;
const LONGEST_DAY = 30 * 3_600e9;

/** Whether a StatsReplyV1 answers a question, with periods or with an error; `now` in nanoseconds, for questions about today. */
export function answers(reply, asked, now) {
  if (reply?.type !== "StatsReplyV1" || ["site", "zone", "step"].some((name) => reply[name] !== asked[name])) return false;
  const isAsked = asked.since === undefined ? isToday(reply, now) : reply.since === asked.since && (asked.until ?? reply.until) === reply.until;
  if (!isAsked || !Array.isArray(reply.periods)) return false;
  return reply.periods.every((one) => isPart(one, reply));
}

function isToday({ since, until }, now) {
  return since <= now + NOW_WITHIN && until >= now - NOW_WITHIN && until - since <= LONGEST_DAY;
}

function isPart(one, { site, zone, since, until }) {
  if (one === null || typeof one !== "object" || one.site !== site || one.zone !== zone) return false;
  return has(PERIOD, one) && isSpan(one) && one.start >= since && one.start < until;
}
