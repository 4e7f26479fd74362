// What a site's profile takes away: the newest window of the whole site says which one is in force.

/** The zone that is the whole site. */
export const WHOLE = "_site";
const PEOPLE = ["persons", "masked", "unmasked", "incorrect", "unknown", "rate", "interval", "sampling_interval", "coverage"];
const NOTHING = { ...Object.fromEntries(PEOPLE.map((name) => [name, null])), gaps: [], models: [], suppressed: "not-under-this-profile" };

let profiles = [];

/** Take in the profiles of config.json: each publishes no more than the one before. */
export const learn = (known) => { profiles = known; };

const ofName = (name) => profiles.find((one) => one.name === name);
/** Whether a profile publishes alerts, and zones; whether it is for trials only. */
export const hasRules = (profile) => ofName(profile)?.rules ?? true;
export const hasZones = (profile) => ofName(profile)?.zones ?? true;
export const isTrial = (profile) => ofName(profile)?.trial ?? false;

/** The profile in force at a site; null where no window is known. */
export function profileOf(known, site) {
  const windows = [...known.windows.values()].filter((one) => one.site === site);
  const whole = windows.find((one) => one.zone === WHOLE);
  return (whole ?? windows.sort((one, other) => other.end - one.end)[0])?.profile ?? null;
}

/** A window, or a period of an answer, as the profile in force lets it be seen: without its figures if a laxer one published it. */
export function under(profile, one) {
  const rank = (name) => profiles.indexOf(ofName(name));
  const isLaxer = (one.profiles ?? [one.profile]).some((name) => rank(name) >= 0 && rank(name) < rank(profile));
  return isLaxer ? { ...one, ...NOTHING } : one;
}
