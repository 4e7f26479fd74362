// The promise as it is measured, and a site's cameras, those that were not heard for long by name.

import { promise } from "./cameras.js";
import { fill, make, pair, put, table } from "./elements.js";
import { MS } from "./model.js";
import { clock, number, percent, text } from "./text.js";

const COLUMNS = ["camera", "state", "since", "lifetime", "fps", "analysed", "shed"];
const NAMED = 5;

export class Promised {
  constructor() {
    this.title = make("h3");
    this.verdict = make("p", "verdict");
    this.figures = pair();
    this.worst = make("p", "hint");
    this.list = make("dl", "figures", this.figures.whole);
    this.element = make("div", "box promise", this.title, this.verdict, this.list, this.worst);
  }

  show(cameras, { nowMs, timeZone }) {
    const found = promise(cameras);
    const isMeasured = found.kept !== null;
    this.element.hidden = cameras.length === 0;
    put(this.title, text("promise"));
    this.list.hidden = this.worst.hidden = !isMeasured;
    this.verdict.className = `verdict ${isMeasured ? (found.kept ? "good" : "bad") : "none"}`;
    put(this.verdict, isMeasured ? text(found.kept ? "promise.kept" : "promise.broken") : unmeasured(found, timeZone, nowMs));
    if (isMeasured) this.showFigures(found);
  }

  showFigures({ camera, pictures, late }) {
    put(this.figures.term, text("late"));
    put(this.figures.value, text("late.of", { late: number(late), pictures: number(pictures) }));
    put(this.worst, text("promise.worst", { camera }));
  }
}

function unmeasured({ few, sinceMs }, timeZone, nowMs) {
  if (few !== null) return text("promise.few", { n: number(few) });
  return sinceMs === null ? text("promise.none") : text("promise.since", { time: clock(sinceMs, timeZone, nowMs, false) });
}

export class Cameras {
  constructor() {
    this.silent = make("p", "hint silent");
    this.table = table(COLUMNS.length);
    this.table.details.addEventListener("toggle", () => this.showRows());
    this.element = make("div", "box cameras", this.silent, this.table.details);
  }

  show(list, { nowMs, timeZone }) {
    this.element.hidden = list.length === 0;
    put(this.table.summary, text("cameras"));
    put(this.table.caption, text("cameras"));
    COLUMNS.forEach((one, index) => put(this.table.headings[index], text(one)));
    const silent = list.filter((one) => one.state === "silent");
    const lines = silent.slice(0, NAMED).map((one) => text("camera.named", { camera: one.camera, state: stateOf(one, timeZone, nowMs) }));
    if (silent.length > NAMED) lines.push(text("cameras.more", { n: number(silent.length - NAMED) }));
    this.silent.hidden = lines.length === 0;
    put(this.silent, lines.join("; "));
    this.rows = { list, nowMs, timeZone };
    this.showRows();
  }

  showRows() {
    if (!this.table.details.open || !this.rows) return;
    const { list, nowMs, timeZone } = this.rows;
    fill(this.table.body, list.map((one) => row(one, nowMs, timeZone)));
  }
}

/** A camera's state, or when it was last heard. */
function stateOf(one, timeZone, nowMs) {
  if (one.state !== "silent") return text(`camera.${one.state}`);
  return one.heardMs === null ? text("camera.unheard") : text("camera.silent", { time: clock(one.heardMs, timeZone, nowMs, false) });
}

function row(one, nowMs, timeZone) {
  const isSilent = one.state === "silent";
  const state = [stateOf(one, timeZone, nowMs), isSilent ? null : one.reason].filter(Boolean).join(", ");
  const life = isSilent ? null : one.lifetime;
  const measured = life?.pictures > 0 ? text("late.of", { late: number(life.late), pictures: number(life.pictures) }) : "–";
  const rate = (value) => (!isSilent && typeof value === "number" ? number(value, 1) : "–");
  const shed = !isSilent && typeof one.shed_share === "number" ? text("at-most", { value: percent(one.shed_share) }) : "–";
  return [one.camera, state, isSilent ? "–" : clock(one.since / MS, timeZone, nowMs, false), measured, rate(one.fps), rate(one.analysed_fps), shed];
}
