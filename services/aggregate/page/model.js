// What the page knows, made of messages alone: no clock, no network, no document. Times are nanoseconds unless named.

export const MS = 1e6;
const GRACE_MS = 15_000;
const SILENT_MS = 150_000;
const LIMIT_MS = 100;
const DAY_MS = 86_400_000;
const KEPT = 3_000;

/** What a profile never publishes; the last word is services/aggregate/core/policy.py's, to which a test holds this. */
const WITHOUT_RULES = ["fr-2021-269", "stats-only"];
const WITHOUT_ZONES = ["fr-2021-269"];

export const WHOLE = "_site";

/** Nothing known yet. */
export function empty() {
  return { windows: new Map(), trends: new Map(), cameras: new Map(), heard: new Map(), alerts: new Map(), operations: new Map() };
}

const PLACES = {
  WindowV1: (known, one) => [known.windows, `${one.site}/${one.zone}`, one.end],
  CameraV1: (known, one) => [known.cameras, `${one.site}/${one.camera}`, one.at],
  AlertV1: (known, one) => [known.alerts, `${one.site}/${one.zone}/${one.rule}`, one.end],
  OperationalAlertV1: (known, one) => [known.operations, `${one.site}/${one.kind}/${one.name}`, one.at],
};

/** Take a message; returns whether it is news. Foreign ones, and those older than what is known, are not. */
export function take(known, message, nowMs) {
  const place = PLACES[message?.type];
  if (place === undefined) return false;
  const [kept, key, moment] = place(known, message);
  const before = kept.get(key);
  if (before !== undefined && place(known, before)[2] > moment) return false;
  kept.set(key, message);
  if (message.type === "WindowV1") extend(known, key, [period(message)]);
  if (message.type === "CameraV1" && nowMs !== undefined) known.heard.set(key, nowMs);
  return true;
}

/** A window or a period of an answer, as the trend has it. */
export function period(one) {
  const published = one.windows_published ?? 1;
  const { start, end, rate, interval, persons, coverage, suppressed } = one;
  return { start, end, rate, interval, persons, coverage, suppressed, published };
}

/** Put periods into a trend, in order of their start; what is there already stays, unless nothing was published then. */
export function extend(known, key, periods) {
  const found = new Map((known.trends.get(key) ?? []).map((one) => [one.start, one]));
  for (const one of periods) if (one.published > 0 || !found.has(one.start)) found.set(one.start, one);
  known.trends.set(key, [...found.values()].sort((one, other) => one.start - other.start).slice(-KEPT));
}

/** The sites in order, each with its zones in order, the whole site first. */
export function sites(known) {
  const found = new Map();
  for (const { site, zone } of known.windows.values()) found.set(site, [...(found.get(site) ?? []), zone]);
  for (const { site } of known.cameras.values()) if (!found.has(site)) found.set(site, []);
  const first = (zone) => (zone === WHOLE ? "" : zone);
  return [...found].sort().map(([site, zones]) => ({ site, zones: zones.sort((a, b) => (first(a) < first(b) ? -1 : 1)) }));
}

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

/** What is known of a site's cameras: each with `up` and `state`; silent ones are not up. `connectedMs`: since when we listen. */
export function cameras(known, site, nowMs, connectedMs) {
  return [...known.cameras.entries()]
    .filter(([, one]) => one.site === site)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, one]) => {
      const silent = one.state === "live" && nowMs - Math.max(known.heard.get(key) ?? 0, connectedMs) > SILENT_MS;
      return { ...one, state: silent ? "silent" : one.state, up: one.state === "live" && !silent };
    });
}

/** The pixel lifetime of the slowest camera that has one; null where no picture was measured. */
export function promise(list) {
  const measured = list.filter((one) => one.up && one.lifetime?.frames > 0);
  if (measured.length === 0) return null;
  const worst = measured.reduce((one, other) => (other.lifetime.p99_ms > one.lifetime.p99_ms ? other : one));
  const { p50_ms: p50, p99_ms: p99 } = worst.lifetime;
  const unconfirmed = measured.reduce((sum, one) => sum + one.lifetime.unconfirmed, 0);
  return { camera: worst.camera, p50, p99, unconfirmed, kept: p99 <= LIMIT_MS };
}

/** Alerts of a site: what fires first, then what was resolved within a day, latest first. */
export function alerts(known, site, nowMs) {
  const moment = (one) => (one.type === "AlertV1" ? one.end : one.at);
  return [...known.alerts.values(), ...known.operations.values()]
    .filter((one) => one.site === site && (one.state === "firing" || nowMs - moment(one) / MS < DAY_MS))
    .sort((one, other) => (other.state === "firing") - (one.state === "firing") || moment(other) - moment(one));
}

/** Whether a profile publishes alerts, and zones. */
export const hasRules = (profile) => !WITHOUT_RULES.includes(profile);
export const hasZones = (profile) => !WITHOUT_ZONES.includes(profile);
