// One site: its profile, cameras up, the promise, alerts, and a card for each of its zones.

import { arrange, fill, make, pair, put, table } from "./elements.js";
import { alerts, cameras, hasRules, hasZones, MS, promise, WHOLE } from "./model.js";
import { clock, milliseconds, number, percent, range, text } from "./text.js";
import { ZoneCard } from "./zone.js";

let made = 0;

export class SiteSection {
  constructor(id) {
    const heading = `site-${(made += 1)}`;
    this.id = id;
    this.title = Object.assign(make("h2"), { id: heading });
    this.profile = make("span", "badge");
    this.up = make("span", "badge up");
    this.whole = make("div");
    this.zones = make("div", "zones");
    this.zoneless = make("p", "hint");
    this.cards = new Map();
    this.alerts = new Alerts();
    this.promise = new Promised();
    this.cameras = table(7);
    this.cameras.details.addEventListener("toggle", () => this.showRows());
    const aside = make("div", "aside", this.promise.element, this.cameras.details);
    const columns = make("div", "columns", this.alerts.element, make("div", "main", this.whole, this.zones, this.zoneless), aside);
    this.element = make("section", "site", make("div", "title", this.title, this.profile, this.up), columns);
    this.element.setAttribute("aria-labelledby", heading);
  }

  /** Show what is known; `names` are what people call the site and its zones. */
  show(known, zones, names, { nowMs, connectedMs, timeZone, hasHistory }) {
    const called = { name: names?.name || this.id, zones: names?.zones ?? {} };
    const windows = new Map(zones.map((zone) => [zone, known.windows.get(`${this.id}/${zone}`)]));
    const profile = [...windows.values()].at(0)?.profile ?? null;
    put(this.title, called.name);
    this.profile.hidden = profile === null;
    if (profile !== null) put(this.profile, text(`profile.${profile}`));
    const zoneName = (zone) => (zone === WHOLE ? text("whole") : called.zones[zone] || zone);
    for (const [zone, window] of windows) {
      if (!this.cards.has(zone)) this.cards.set(zone, new ZoneCard(zone === WHOLE));
      const periods = known.trends.get(`${this.id}/${zone}`);
      this.cards.get(zone).show(zoneName(zone), window, periods, { nowMs, timeZone, hasHistory: hasHistory(zone) });
    }
    const elements = (wanted) => zones.filter((zone) => (zone === WHOLE) === wanted).map((zone) => this.cards.get(zone).element);
    arrange(this.whole, elements(true));
    arrange(this.zones, elements(false));
    this.zoneless.hidden = profile === null || hasZones(profile);
    put(this.zoneless, text("zones.not"));
    this.alerts.show(alerts(known, this.id, nowMs), profile, { zoneName, nowMs, timeZone });
    this.showCameras(cameras(known, this.id, nowMs, connectedMs), { nowMs, timeZone });
  }

  showCameras(list, { nowMs, timeZone }) {
    const up = list.filter((one) => one.up).length;
    put(this.up, text("cameras.up", { up: number(up), all: number(list.length) }));
    this.up.hidden = this.cameras.details.hidden = list.length === 0;
    this.up.classList.toggle("bad", up < list.length);
    this.promise.element.hidden = list.length === 0;
    this.promise.show(promise(list));
    put(this.cameras.summary, text("cameras"));
    put(this.cameras.caption, text("cameras"));
    ["camera", "state", "since", "lifetime", "fps", "analysed", "shed"].forEach((one, index) => put(this.cameras.headings[index], text(one)));
    this.rows = { list, nowMs, timeZone };
    this.showRows();
  }

  showRows() {
    if (!this.cameras.details.open || !this.rows) return;
    const { list, nowMs, timeZone } = this.rows;
    fill(this.cameras.body, list.map((one) => cameraRow(one, nowMs, timeZone)));
  }
}

function cameraRow(one, nowMs, timeZone) {
  const state = [text(`camera.${one.state}`), one.reason].filter(Boolean).join(": ");
  const measured = one.lifetime?.frames > 0 ? `${milliseconds(one.lifetime.p50_ms)} · ${milliseconds(one.lifetime.p99_ms)}` : "–";
  const rate = (value) => (typeof value === "number" ? number(value, 1) : "–");
  const shed = typeof one.shed_share === "number" ? percent(one.shed_share) : "–";
  return [one.camera, state, clock(one.since / MS, timeZone, nowMs, false), measured, rate(one.fps), rate(one.analysed_fps), shed];
}

class Alerts {
  constructor() {
    this.title = make("h3");
    this.list = make("ul", "alerts");
    this.none = make("p", "hint");
    this.element = make("div", "box", this.title, this.none, this.list);
  }

  show(found, profile, where) {
    put(this.title, text("alerts"));
    const may = profile === null || hasRules(profile);
    put(this.none, text(may ? "alerts.none" : "alerts.not"));
    this.none.hidden = found.length > 0 && may;
    while (this.list.children.length > found.length) this.list.lastChild.remove();
    while (this.list.children.length < found.length) this.list.append(make("li", "", make("strong"), " ", make("span"), " ", make("small")));
    found.forEach((one, index) => {
      const [state, line, time] = this.list.children[index].children;
      this.list.children[index].className = one.state;
      put(state, [text(`alert.${one.state}`), one.severity && text(`severity.${one.severity}`)].filter(Boolean).join(", "));
      put(line, alertLine(one, where));
      put(time, alertTime(one, where));
    });
    this.list.hidden = found.length === 0;
  }
}

/** What an alert says, without its state. */
export function alertLine(one, { zoneName }) {
  if (one.type === "OperationalAlertV1") {
    const name = one.kind === "no-data" ? zoneName(one.name) : one.name;
    const why = one.reason && one.reason !== one.kind ? ` (${text(`gap.${one.reason}`)})` : "";
    return text(`operation.${one.kind}`, { name }, `${one.kind}: ${name}`) + why;
  }
  const { rule, persons } = one;
  return text("alert.line", { zone: zoneName(one.zone), rule, rate: percent(one.rate), interval: range(one.interval), persons: number(persons), below: percent(one.fire_below) });
}

function alertTime(one, { nowMs, timeZone }) {
  const since = clock(one.since / MS, timeZone, nowMs);
  if (one.state === "firing") return text("alert.since", { time: since });
  return text("alert.until", { since, time: clock((one.end ?? one.at) / MS, timeZone, nowMs) });
}

class Promised {
  constructor() {
    this.title = make("h3");
    this.verdict = make("p", "verdict");
    this.figures = { p50: pair(), p99: pair(), unconfirmed: pair() };
    this.worst = make("p", "hint");
    const list = make("dl", "figures", ...Object.values(this.figures).map(({ whole }) => whole));
    this.element = make("div", "box promise", this.title, this.verdict, list, this.worst);
    this.list = list;
  }

  show(found) {
    put(this.title, text("promise"));
    this.list.hidden = this.worst.hidden = found === null;
    this.verdict.className = `verdict ${found === null ? "none" : found.kept ? "good" : "bad"}`;
    put(this.verdict, text(found === null ? "promise.none" : found.kept ? "promise.kept" : "promise.broken"));
    if (found === null) return;
    const values = { p50: milliseconds(found.p50), p99: milliseconds(found.p99), unconfirmed: number(found.unconfirmed) };
    for (const [name, { term, value }] of Object.entries(this.figures)) {
      put(term, text(name));
      put(value, values[name]);
    }
    put(this.worst, text("promise.worst", { camera: found.camera }));
  }
}
