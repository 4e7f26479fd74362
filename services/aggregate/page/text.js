// Words, numbers and times as the reader writes them. Times are milliseconds.

import { dateOf } from "./day.js";
import { lastOf } from "./spans.js";
import { chosen, words } from "./words.js";

let language = "en";

/** Choose by what the reader wants, best first; returns what was chosen. */
export function choose(wanted) {
  language = chosen(wanted);
  return language;
}

/** The words under a key; `otherwise`, or the key's last part, where there are none. */
export function text(key, values = {}, otherwise = key.slice(key.indexOf(".") + 1)) {
  return words(language, key, values) ?? otherwise;
}

/** A text of the settings in the reader's language, or else in the site's own; one that is for all readers as it is. */
export const own = (texts, otherwise) => (typeof texts === "string" ? texts : texts?.[language] ?? texts?.[otherwise]);

/** What stands between cells of a file for this reader's spreadsheet: a comma, unless that is the decimal sign. */
export const separator = () => (language === "fr" ? ";" : ",");

const locale = () => (language === "fr" ? "fr-FR" : "en-GB");

/** A share in percent: as many decimals as it needs, one at most. */
export function percent(share) {
  return share.toLocaleString(locale(), { style: "percent", maximumFractionDigits: 1 });
}

export function number(value, digits = 0) {
  return value.toLocaleString(locale(), { maximumFractionDigits: digits });
}

/** An interval of shares. */
export function range([low, high]) {
  return text("between", { low: percent(low), high: percent(high) });
}

/** The time of day at the site, with the day and the year if they are not `nowMs`'s, with seconds where they say something. */
export function clock(ms, timeZone, nowMs = ms, seconds = ms % 60_000 !== 0) {
  const hours = { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}), timeZone };
  const [date, today] = [ms, nowMs].map((one) => dateOf(one, timeZone));
  const year = date.slice(0, 4) === today.slice(0, 4) ? {} : { year: "numeric" };
  const on = date === today ? {} : { day: "numeric", month: "short", ...year };
  return new Date(ms).toLocaleString(locale(), { ...hours, ...on });
}

/** The day at the site. */
export function dayName(ms, timeZone) {
  return new Date(ms).toLocaleDateString(locale(), { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone });
}

/** The day at the site, without its year. */
export function shortDay(ms, timeZone) {
  return new Date(ms).toLocaleDateString(locale(), { weekday: "short", day: "numeric", month: "short", timeZone });
}

/** What a trend of a span is called; `middleMs` is a moment in the middle of it. */
export function spanName({ kind, first }, middleMs, timeZone) {
  if (kind === "day") return text("trend.day", { day: dayName(middleMs, timeZone) });
  const [from, to] = [first, lastOf({ kind, first })].map((date) => Date.parse(date));
  if (kind === "week") return text("trend.week", { first: shortDay(from, "UTC"), last: dayName(to, "UTC") });
  return text("trend.month", { month: new Date(from).toLocaleDateString(locale(), { month: "long", year: "numeric", timeZone: "UTC" }) });
}

/** How long ago, roughly. */
export function age(ms) {
  const [unit, n] = ms < 60_000 ? ["s", 0] : ms < 3_600_000 ? ["m", ms / 60_000] : ms < 86_400_000 ? ["h", ms / 3_600_000] : ["d", ms / 86_400_000];
  return text(`age.${unit}`, { n: number(Math.floor(n)) });
}
