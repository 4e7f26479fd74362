// Spans of a calendar that a reader picks: a day, a week from Monday on, a month. Dates are YYYY-MM-DD.

import { dayOf } from "./day.js";

const DAYS = { day: 1, week: 7, month: 31 };
export const KINDS = Object.keys(DAYS);

/** The span of a kind that a date is in: `{kind, first}`, its first date. */
export function spanAt(kind, date) {
  const weekday = (new Date(date).getUTCDay() + 6) % 7;
  return { kind, first: { day: date, week: shifted(date, -weekday), month: `${date.slice(0, 8)}01` }[kind] };
}

export const before = ({ kind, first }) => spanAt(kind, shifted(first, -1));
export const after = ({ kind, first }) => spanAt(kind, shifted(first, DAYS[kind]));

/** The last date of a span. */
export const lastOf = (span) => shifted(after(span).first, -1);

/** The first moments of a span and of the next one, in milliseconds. */
export const borders = (span, timeZone) => [span, after(span)].map(({ first }) => dayOf(first, timeZone)[0]);

/** What a file of a span is called: 2026-11-25, 2026-11-23-week, 2026-11. */
export const fileName = ({ kind, first }) => ({ day: first, week: `${first}-week`, month: first.slice(0, 7) })[kind];

function shifted(date, days) {
  const at = new Date(date);
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}
