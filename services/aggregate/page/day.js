// A calendar day of a place: from its midnight to the next, 23 or 25 hours where a clock is changed. Times are milliseconds.

const MOST_MS = 30 * 3_600_000;
const formats = new Map();
const found = new Map();

/** The date at a moment by the clock of a time zone (IANA; undefined is the browser's): YYYY-MM-DD. */
export function dateOf(ms, timeZone) {
  if (!formats.has(timeZone)) {
    formats.set(timeZone, new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }));
  }
  return formats.get(timeZone).format(ms);
}

const stamps = new Map();
const SHOWN = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };

/** A moment by the clock of a time zone in ISO 8601, with the offset from UTC: 2026-11-24T08:00:00+01:00. */
export function stamp(ms, timeZone) {
  if (!stamps.has(timeZone)) {
    stamps.set(timeZone, new Intl.DateTimeFormat("en-CA", { timeZone, ...SHOWN, hourCycle: "h23", timeZoneName: "longOffset" }));
  }
  const parts = Object.fromEntries(stamps.get(timeZone).formatToParts(ms).map(({ type, value }) => [type, value]));
  const offset = parts.timeZoneName.slice("GMT".length) || "+00:00";
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}:${parts.second}${offset}`;
}

/** Whether there is such a time zone. */
export function isZone(timeZone) {
  try {
    return typeof timeZone === "string" && dateOf(0, timeZone) !== "";
  } catch {
    return false;
  }
}

/** The first moments of the day that it is, and of the next one. A day without a midnight begins with its first second. */
export function day(nowMs, timeZone) {
  const known = found.get(timeZone);
  if (known !== undefined && known[0] <= nowMs && nowMs < known[1]) return known;
  const today = dateOf(nowMs, timeZone);
  const borders = [
    first((ms) => dateOf(ms, timeZone) >= today, nowMs - MOST_MS, nowMs),
    first((ms) => dateOf(ms, timeZone) > today, nowMs, nowMs + MOST_MS),
  ];
  found.set(timeZone, borders);
  return borders;
}

/** The first moments of a date, YYYY-MM-DD, and of the next one. */
export function dayOf(date, timeZone) {
  const noon = Date.parse(`${date}T12:00:00Z`);
  const there = dateOf(noon, timeZone); // where clocks are far from UTC it is another day by then
  return day(there === date ? noon : noon + (there < date ? MOST_MS / 2 : -MOST_MS / 2), timeZone);
}

/** The first whole second at which something holds that does not at `from`, and goes on to hold until `until`. */
function first(holds, from, until) {
  let [low, high] = [Math.floor(from / 1_000), Math.ceil(until / 1_000)];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle * 1_000)) high = middle;
    else low = middle;
  }
  return high * 1_000;
}
