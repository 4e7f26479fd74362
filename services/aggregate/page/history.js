// Each zone's windows of the day, asked of the site itself (docs/subscribing.md, "Asking for history"), again until it answers.

import { answers, asText, timed } from "./messages.js";
import { MS, oldSince } from "./model.js";
import { backoff, ownClock, pause } from "./timing.js";

const FIRST_MS = 2_000;
const MOST_MS = 60_000;
const SHORT_MS = 300_000;
const SHORT_WINDOWS = 200;
const STANDING_MS = 600_000;
const GONE = ["unknown-zone", "not-under-this-profile"];

export class History {
  /** `found` is called with a zone's key and its answer, `gone` with the key of a zone that there is no more. */
  constructor(bus, { found, gone, changed }) {
    Object.assign(this, { bus, found, gone, changed });
    this.states = new Map();
    this.stood = new Map();
  }

  /** A new connection: ask for everything again. */
  restart() {
    this.states.clear();
    this.stood.clear();
  }

  /** The connection is lost: what was being asked was not answered. */
  interrupt() {
    for (const [key, state] of this.states) if (state === "asking") this.states.set(key, "failed");
  }

  /** There is such a zone after all: it may be asked for again. */
  forget(key) {
    this.states.delete(key);
  }

  /** "asking", "failed" (it is asked for again), "refused", "answered" or "gone"; undefined: it was not asked for. */
  stateOf(key) {
    return this.states.get(key);
  }

  /** Ask for a window's zone, once a connection; later, if the window is old, whether there still is such a zone. */
  async want(window) {
    const key = `${window.site}/${window.zone}`;
    if (!this.states.has(key)) await this.follow(key, window, since(window));
    else if (this.states.get(key) === "answered") await this.stands(key, window);
  }

  async follow(key, window, from) {
    const here = this.bus.connection;
    this.states.set(key, "asking");
    for (let failures = 0; this.bus.connection === here; failures += 1) {
      const { reply, state } = await this.ask(window, "window", from);
      if (this.bus.connection !== here) return;
      this.states.set(key, state);
      if (state === "answered") this.found(key, reply);
      if (state === "gone") this.gone(key);
      this.changed();
      if (state !== "failed") return;
      await pause(backoff(failures, FIRST_MS, MOST_MS));
    }
  }

  /** Ask for what is to come of a zone that was silent for long: the site refuses if it has none such. */
  async stands(key, window) {
    const nowMs = this.now();
    const isDue = nowMs - (this.stood.get(key) ?? -Infinity) > STANDING_MS;
    if (!isDue || oldSince(window, nowMs) === null) return;
    this.stood.set(key, nowMs);
    const { state } = await this.ask(window, "total", Math.round(nowMs) * MS);
    if (state !== "gone") return;
    this.states.set(key, state);
    this.gone(key);
  }

  /** Ask for a zone's windows, hours or total: of today where `from` is null, else from a time on, or until another. */
  async ask({ site, zone }, step, from, until = null) {
    const times = Object.entries({ since: from, until }).filter(([, at]) => at !== null);
    const asked = { type: "StatsRequestV1", site, zone, step, ...Object.fromEntries(times) };
    const question = { ...asked, ...Object.fromEntries(times.map(([name, at]) => [name, asText(at)])) };
    const { said: told, why } = await this.bus.ask(`moretta.v1.stats.${site}`, question);
    if (why) return { state: why === "refused" ? "refused" : "failed" };
    const said = timed(told);
    if (!answers(said, asked, this.now() * MS)) return { state: "failed" };
    if (said.error) return { state: GONE.includes(said.error) ? "gone" : "failed" };
    return { state: "answered", reply: said };
  }

  now() {
    return ownClock() + this.bus.offsetMs;
  }
}

/** Since when the trend is: today, which is null, or of short windows the last ones. */
function since(window) {
  const length = (window.end - window.start) / MS;
  return length < SHORT_MS ? Math.round(window.end / MS - SHORT_WINDOWS * length) * MS : null;
}

/** What a day is asked for by: a day of short windows is more than a site answers, and than a chart shows. */
export const stepOf = (window) => ((window.end - window.start) / MS < SHORT_MS ? "hour" : "window");
