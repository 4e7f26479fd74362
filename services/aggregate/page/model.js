// What the page knows, made of messages alone: no clock, no network, no document. Times are nanoseconds unless named.

import { hasRules, hasZones, profileOf, WHOLE } from "./profile.js";

export const MS = 1e6;
const GRACE_MS = 15_000;
const DAY_MS = 86_400_000;
const KEPT = 3_000;
const COUNTED_NS = 600_000 * MS;

/** Nothing known yet. `gone` are zones that the site says it has no more. */
export function empty() {
  const kinds = ["windows", "trends", "cameras", "heard", "measured", "counts", "alerts", "operations"];
  return { ...Object.fromEntries(kinds.map((kind) => [kind, new Map()])), gone: new Set() };
}

const RESOLVED = (one) => (one.state === "resolved" ? 1 : 0);
/** Where a message is kept, under which key, and what it is later by than another one. */
const PLACES = new Map(Object.entries({
  WindowV1: ["windows", (one) => `${one.site}/${one.zone}`, (one) => [one.end]],
  CameraV1: ["cameras", (one) => `${one.site}/${one.camera}`, (one) => [one.at]],
  AlertV1: ["alerts", (one) => `${one.site}/${one.zone}/${one.rule}`, (one) => [one.end, one.since, RESOLVED(one)]],
  OperationalAlertV1: ["operations", (one) => `${one.site}/${one.kind}/${one.name}`, (one) => [one.at, one.since, RESOLVED(one)]],
}));

/** Take a message; returns `{before}`, what was known instead, if it is news, or null: it never goes back.

`heardMs` is when it came or was stored, by the page's own clock.
*/
export function take(known, message, heardMs) {
  const [kind, keyOf, momentOf] = PLACES.get(message?.type) ?? [];
  if (kind === undefined) return null;
  const key = keyOf(message);
  const before = known[kind].get(key);
  const order = before === undefined ? 1 : compare(momentOf(message), momentOf(before));
  if (order < 0) return null;
  if (kind === "cameras" && Number.isFinite(heardMs)) hear(known, key, message, heardMs);
  if (order === 0) return null;
  known[kind].set(key, message);
  if (kind === "windows") extend(known, key, [period(message)]);
  if (kind === "cameras") count(known, key, message);
  return { before };
}

function compare(one, other) {
  const index = one.findIndex((value, at) => value !== other[at]);
  return index < 0 ? 0 : one[index] - other[index];
}

function hear(known, key, { lifetime }, heardMs) {
  const later = (when) => when.set(key, Math.max(when.get(key) ?? heardMs, heardMs));
  later(known.heard);
  if (lifetime?.pictures > 0) later(known.measured);
}

/** Keep what a camera told of its last windows, of ten minutes or of one that is longer: many reports tell of the same. */
function count(known, key, { lifetime }) {
  if (!lifetime) return;
  const { start, end } = lifetime;
  const kept = (known.counts.get(key) ?? []).filter((one) => one.start < start && one.end > end - COUNTED_NS);
  known.counts.set(key, [...kept, lifetime]);
}

const OF_PERIOD = [
  "site", "zone", "start", "end", "persons", "masked", "unmasked", "incorrect", "unknown", "rate", "interval", "sampling_interval", "coverage", "suppressed",
];

/** A window or a period of an answer, as the trend and its file have it. */
export function period(one) {
  const { windows_published: published = 1, windows_expected = 1, windows_suppressed = one.suppressed ? 1 : 0 } = one;
  const lists = { gaps: one.gaps ?? [], profiles: one.profiles ?? [one.profile], models: one.models ?? [one.model ?? []].flat() };
  const windows = { published, windows_published: published, windows_expected, windows_suppressed };
  return { ...Object.fromEntries(OF_PERIOD.map((name) => [name, one[name]])), ...lists, ...windows, adjusted: one.adjusted ?? false };
}

/** Put periods into a trend, in order of their start; what is there already stays, unless nothing was published then. */
export function extend(known, key, periods) {
  const found = new Map((known.trends.get(key) ?? []).map((one) => [one.start, one]));
  for (const one of periods) if (one.published > 0 || !found.has(one.start)) found.set(one.start, one);
  known.trends.set(key, [...found.values()].sort((one, other) => one.start - other.start).slice(-KEPT));
}

/** The sites in order, each with those of its zones that are to be seen, in order, the whole site first. */
export function sites(known) {
  const found = new Map();
  for (const { site } of known.cameras.values()) found.set(site, []);
  for (const { site } of known.windows.values()) if (!found.has(site)) found.set(site, []);
  for (const [key, { site, zone }] of known.windows) if (isSeen(known, site, zone, key)) found.get(site).push(zone);
  const first = (zone) => (zone === WHOLE ? "" : zone);
  return [...found].sort().map(([site, zones]) => ({ site, zones: zones.sort((a, b) => (first(a) < first(b) ? -1 : 1)) }));
}

const isSeen = (known, site, zone, key) => zone === WHOLE || (hasZones(profileOf(known, site)) && !known.gone.has(key));

/** A figure of a window, or why there is none: `{value}` or `{why}`. */
export function figure(window, name) {
  if (window[name] !== null && window[name] !== undefined) return { value: window[name] };
  const aboutPeople = !["coverage", "cameras_ok", "cameras_expected"].includes(name);
  if (aboutPeople && window.suppressed) return { why: window.suppressed };
  if (name === "rate" || (name === "interval" && figure(window, "rate").why)) return { why: "none-judged" };
  return { why: "not-under-this-profile" };
}

/** When a window's successor was due and did not come, in milliseconds; null while it is not due. */
export function oldSince(window, nowMs) {
  const length = (window.end - window.start) / MS;
  const due = window.end / MS + length + Math.max(GRACE_MS, length / 10);
  return nowMs > due ? window.end / MS + length : null;
}

/** Whether one of a site's cameras is a recorded film that is over. */
export const hasFilm = (known, site) => [...known.cameras.values()].some((one) => one.site === site && one.state === "ended");

/** Whether no window follows at a site: its cameras are recorded films, and all are over. */
export function isOver(known, site) {
  const mine = [...known.cameras.values()].filter((one) => one.site === site);
  return mine.length > 0 && mine.every(({ state }) => state === "ended");
}

/** Alerts of a site, as its profile has them: what fires first, then what was resolved within a day, latest first. */
export function alerts(known, site, nowMs) {
  const moment = (one) => (one.type === "AlertV1" ? one.end : one.at);
  const rates = hasRules(profileOf(known, site)) ? [...known.alerts.values()] : [];
  return [...rates, ...known.operations.values()]
    .filter((one) => one.site === site && (one.state === "firing" || nowMs - moment(one) / MS < DAY_MS))
    .sort((one, other) => (other.state === "firing") - (one.state === "firing") || moment(other) - moment(one));
}
