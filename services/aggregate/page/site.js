// One site: its profile, cameras up, the promise, alerts, and a card for each of its zones.

import { Alerts } from "./alerts.js";
import { cameras } from "./cameras.js";
import { arrange, make, put } from "./elements.js";
import { alerts, hasFilm, isOver } from "./model.js";
import { Picker } from "./picker.js";
import { hasRules, hasZones, isTrial, profileOf, under, WHOLE } from "./profile.js";
import { Cameras, Promised } from "./promised.js";
import { number, text } from "./text.js";
import { ZoneCard } from "./zone.js";

let made = 0;

/** What a profile allows of a picked span's periods and totals. */
const allowed = (profile, { periods, totals }) => ({
  periods: periods.map((one) => under(profile, one)), totals: totals.map((one) => one && under(profile, one)),
});

export class SiteSection {
  constructor(id) {
    const heading = `site-${(made += 1)}`;
    this.id = id;
    this.title = Object.assign(make("h2"), { id: heading });
    this.profile = make("span", "badge");
    this.up = make("span", "badge up");
    this.picker = new Picker();
    this.whole = make("div");
    this.zones = make("div", "zones");
    this.zoneless = make("p", "hint");
    this.cards = new Map();
    this.alerts = new Alerts();
    this.promise = new Promised();
    this.cameras = new Cameras();
    const main = make("div", "main", this.whole, this.zones, this.zoneless);
    const columns = make("div", "columns", this.alerts.element, main, this.promise.element, this.cameras.element);
    this.element = make("section", "site", make("div", "title", this.title, this.profile, this.up, this.picker.element), columns);
    this.element.setAttribute("aria-labelledby", heading);
  }

  /** Show what is known of these zones; `name` is what people call the site, `where` who knows the rest. */
  show(known, zones, name, where) {
    const profile = profileOf(known, this.id);
    put(this.title, name || this.id);
    this.profile.hidden = profile === null;
    if (profile !== null) put(this.profile, text(isTrial(profile) ? "profile.trial" : "profile", { profile }));
    this.showZones(known, zones, profile, where);
    this.zoneless.hidden = profile === null || hasZones(profile);
    put(this.zoneless, text("zones.not"));
    this.picker.show(where);
    this.alerts.show(alerts(known, this.id, where.nowMs), profile, where);
    this.showCameras(cameras(known, this.id, where.nowMs, where.offsetMs), where);
  }

  showZones(known, zones, profile, { zoneName, history, boundsOf, pickedOf, ...when }) {
    for (const zone of zones) {
      const key = `${this.id}/${zone}`;
      if (!this.cards.has(zone)) this.cards.set(zone, new ZoneCard(zone === WHOLE));
      const periods = known.trends.get(key).map((one) => under(profile, one));
      const asked = history?.stateOf(key);
      const picked = pickedOf(zone);
      const shown = picked && { ...picked, ...allowed(profile, picked) };
      const bounds = profile !== null && hasRules(profile) ? boundsOf(zone) : [];
      const films = { hasFilm: hasFilm(known, this.id), isOver: isOver(known, this.id) };
      const about = { ...when, ...films, asked, bounds, picked: shown, file: `${this.id}-${zone}` };
      this.cards.get(zone).show(zoneName(zone), under(profile, known.windows.get(key)), periods, about);
    }
    const elements = (wanted) => zones.filter((zone) => (zone === WHOLE) === wanted).map((zone) => this.cards.get(zone).element);
    arrange(this.whole, elements(true));
    arrange(this.zones, elements(false));
  }

  showCameras(list, when) {
    const [up, all] = [list.filter((one) => one.up).length, list.filter((one) => one.state !== "ended").length];
    put(this.up, text("cameras.up", { up: number(up), all: number(all) }));
    this.up.hidden = all === 0; // a film that is over is no camera that is down
    this.up.classList.toggle("bad", up < all);
    this.promise.show(list, when);
    this.cameras.show(list, when);
  }
}
