// What a site's profile takes away: the newest window of the whole site says which one is in force.

/** The zone that is the whole site. */
export const WHOLE = "_site";
/** Each publishes no more than the one before; the last word is services/aggregate/core/policy.py's, to which a test holds this. */
export const STRICTER = ["lab", "alerting", "stats-only", "fr-2021-269"];
const WITHOUT_RULES = ["fr-2021-269", "stats-only"];
const WITHOUT_ZONES = ["fr-2021-269"];
const PEOPLE = ["persons", "masked", "unmasked", "incorrect", "unknown", "rate", "interval", "coverage"];
const NOTHING = { ...Object.fromEntries(PEOPLE.map((name) => [name, null])), gaps: [], suppressed: "not-under-this-profile" };

/** Whether a profile publishes alerts, and zones. */
export const hasRules = (profile) => !WITHOUT_RULES.includes(profile);
export const hasZones = (profile) => !WITHOUT_ZONES.includes(profile);

/** The profile in force at a site; null where no window is known. */
export function profileOf(known, site) {
  const windows = [...known.windows.values()].filter((one) => one.site === site);
  const whole = windows.find((one) => one.zone === WHOLE);
  return (whole ?? windows.sort((one, other) => other.end - one.end)[0])?.profile ?? null;
}

/** A window, or a period of an answer, as the profile in force lets it be seen: without its figures if a laxer one published it. */
export function under(profile, one) {
  const rank = (name) => STRICTER.indexOf(name);
  const isLaxer = (one.profiles ?? [one.profile]).some((name) => rank(name) >= 0 && rank(name) < rank(profile));
  return isLaxer ? { ...one, ...NOTHING } : one;
}
