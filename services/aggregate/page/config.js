// config.json beside the page: where NATS and the camera page are, whether a key is asked for, what profiles allow, columns, words, names.

import { isZone } from "./day.js";
import { backoff, pause } from "./timing.js";

const FIRST_MS = 1_000;
const MOST_MS = 60_000;

/**
 * The settings; asked for again until they can be read. `told` is called with the key of what is wrong, or with null.
 * With the proof of a key the server gives names, too, which it may have for nobody else.
 */
export async function readConfig(told, proof = null) {
  for (let failures = 0; ; failures += 1) {
    try {
      // beside this file: an address that a web server or a proxy made of another one still finds it
      const headers = proof === null ? {} : { Authorization: `Bearer ${proof}` };
      const answer = await fetch(new URL("config.json", import.meta.url), { cache: "no-store", headers });
      const config = settled(answer.ok ? await answer.json() : null);
      told(null);
      return config;
    } catch {
      told("notice.config");
    }
    await pause(backoff(failures, FIRST_MS, MOST_MS));
  }
}

const isProfile = (one) => typeof one?.name === "string" && typeof one.rules === "boolean" && typeof one.zones === "boolean";

/** The columns of an earlier version. */
const FORMER = ["start", "end", "rate", "interval_low", "interval_high", "persons", "coverage", "suppressed"];

const isColumn = (one) => /^[a-z_]+$/.test(one);

/** What a config.json says, with what it may leave out; throws where it does not say where NATS is, or what profiles allow. */
export function settled(found) {
  if (typeof found?.server !== "string" || found.server === "") throw new TypeError("config.json has no server");
  const { columns, profiles } = found;
  if (!Array.isArray(profiles) || !profiles.length || !profiles.every(isProfile)) throw new TypeError("config.json has no profiles");
  const known = columns ?? FORMER; // a copy of the page may have the config.json of an earlier version
  if (!Array.isArray(known) || !known.length || !known.every(isColumn)) throw new TypeError("config.json has no columns");
  const names = Object.entries(found.names ?? {}).map(([site, { name, timezone, language, zones, rules } = {}]) => {
    return [site, { name, language, zones: zones ?? {}, rules: rules ?? {}, timezone: isZone(timezone) ? timezone : undefined }];
  });
  const cameras = /^https?:\/\//.test(found.cameras) ? found.cameras : null;
  const named = { isNamed: found.names !== undefined, names: Object.fromEntries(names) };
  return { server: found.server, key: found.key === true, cameras, profiles, columns: known, gaps: found.gaps ?? {}, ...named };
}
