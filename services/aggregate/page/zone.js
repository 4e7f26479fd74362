// One zone's card: rate, interval, people, coverage, its window's time and age, and the trend.

import { make, pair, put } from "./elements.js";
import { said } from "./figures.js";
import { figure, MS, oldSince } from "./model.js";
import { age, clock, percent, text } from "./text.js";
import { Trend } from "./trend.js";

const FIGURES = ["interval", "persons", "masked", "unmasked", "incorrect", "unknown", "coverage"];
const COUNTS = ["unmasked", "incorrect", "unknown"];
let made = 0;

export class ZoneCard {
  constructor(isWhole) {
    this.id = `zone-${(made += 1)}`;
    this.title = Object.assign(make("h3"), { id: this.id });
    this.rate = make("strong", "rate");
    this.label = make("span", "label");
    this.old = Object.assign(make("p", "old"), { hidden: true });
    this.time = make("p", "time");
    this.figures = Object.fromEntries(FIGURES.map((name) => [name, pair()]));
    this.gaps = make("p", "gaps");
    this.trend = new Trend(this.id);
    const list = make("dl", "figures", ...Object.values(this.figures).map(({ whole }) => whole));
    const head = make("p", "headline", this.rate, " ", this.label);
    this.element = make("article", `zone${isWhole ? " whole" : ""}`, this.title, head, this.old, list, this.time, this.gaps, this.trend.element);
    this.element.setAttribute("aria-labelledby", this.id);
  }

  /** Show a window and its trend, which has `periods`, the site's `timeZone` if it is known, and `file`, what it is saved as.

  `asked` is what became of the question for its history, `bounds` the shares below which rules fire, `picked` another day.
  No window follows at a site that `isOver`.
  */
  show(name, window, periods, { nowMs, timeZone, asked, bounds, picked, file, hasFilm, isOver }) {
    put(this.title, name);
    const rate = figure(window, "rate");
    put(this.rate, rate.why ? "–" : percent(rate.value));
    put(this.label, rate.why ? text(`why.${rate.why}`) : text("rate"));
    for (const name of FIGURES) {
      const { term, value, whole } = this.figures[name];
      put(term, text(name));
      put(value, said(window, name));
      value.classList.toggle("why", Boolean(figure(window, name).why));
      const isSaid = COUNTS.includes(name) && Boolean(figure(window, name).why); // once is enough, at the first count
      whole.hidden = isSaid || (Boolean(window.suppressed) && name !== "coverage" && name !== "persons");
    }
    this.showTime(window, nowMs, timeZone, { hasFilm, isOver });
    this.showGaps(window.gaps ?? [], hasFilm);
    this.trend.show(name, periods, { nowMs, timeZone, asked, bounds, picked, file, length: window.end - window.start });
  }

  showTime(window, nowMs, timeZone, { hasFilm, isOver }) {
    const [start, end] = [window.start / MS, window.end / MS];
    const seconds = start % 60_000 !== 0 || end % 60_000 !== 0;
    const span = text("from", { start: clock(start, timeZone, nowMs, seconds), end: clock(end, timeZone, nowMs, seconds) });
    const isEarly = hasFilm && end > nowMs; // a film's windows don't wait for the clock
    const ended = isEarly ? text("early") : text("ago", { age: age(Math.max(0, nowMs - end)) });
    put(this.time, `${text("window")} ${span}, ${ended}`);
    const since = isOver ? null : oldSince(window, nowMs);
    this.old.hidden = since === null;
    this.element.classList.toggle("is-old", since !== null);
    if (since !== null) put(this.old, text("old", { time: clock(since, timeZone, nowMs, seconds) }));
  }

  /** Why not all was observed: a film that is over is a camera that is down. */
  showGaps(gaps, hasFilm) {
    put(this.gaps, gaps.map((one) => text(one === "camera-down" && hasFilm ? "gap.film" : `gap.${one}`)).join(", "));
    this.gaps.hidden = gaps.length === 0;
  }
}
