// Days that a reader picked, for the trends of a site: asked of the site itself. Without one a trend is today's.

import { dayOf } from "./day.js";
import { MS, period } from "./model.js";

const AGAIN_MS = 10_000;

export class Days {
  /** `ask(zone's key, from, until)` returns `{state, reply}` as `History.ask` does; `changed` is called at news. */
  constructor(ask, changed) {
    Object.assign(this, { ask, changed });
    this.picked = new Map();
    this.found = new Map();
  }

  /** Show this day of a site from now on, YYYY-MM-DD; null is today. */
  pick(site, date) {
    if (date === null) this.picked.delete(site);
    else this.picked.set(site, date);
    this.found.clear();
    this.changed();
  }

  /** A new connection: what was not answered is asked for again. */
  restart() {
    for (const [key, { asked }] of this.found) if (asked !== "answered") this.found.delete(key);
  }

  /** A zone's trend on its site's picked day: `{date, borders, asked, periods}`, times in nanoseconds; null for today. */
  of(site, zone, timeZone) {
    const date = this.picked.get(site);
    if (date === undefined) return null;
    const borders = dayOf(date, timeZone).map((ms) => ms * MS);
    const key = `${site}/${zone}`;
    if (!this.found.has(key)) this.want(key, borders);
    return { date, borders, ...this.found.get(key) };
  }

  async want(key, borders) {
    const asking = { asked: "asking", periods: [] };
    this.found.set(key, asking);
    const { state, reply } = await this.ask(key, ...borders);
    if (this.found.get(key) !== asking) return; // another day was picked meanwhile
    this.found.set(key, { asked: state, periods: state === "answered" ? reply.periods.map(period) : [] });
    if (state === "failed") setTimeout(() => this.again(key), AGAIN_MS);
    this.changed();
  }

  again(key) {
    if (this.found.get(key)?.asked !== "failed") return;
    this.found.delete(key);
    this.changed();
  }
}
