// What a reader picks a site's day, week or month with.

import { dateOf, day } from "./day.js";
import { make, put } from "./elements.js";
import { before, KINDS, spanAt } from "./spans.js";
import { text } from "./text.js";

export class Picker {
  constructor() {
    this.shown = null;
    this.date = Object.assign(make("input"), { type: "date" });
    this.dateLabel = make("span");
    this.kinds = KINDS.map((kind) => Object.assign(make("option"), { value: kind }));
    this.kind = make("select", "", ...this.kinds);
    this.kindLabel = make("span");
    this.other = Object.assign(make("button"), { type: "button" });
    this.date.addEventListener("change", () => this.picks(this.date.value));
    this.kind.addEventListener("change", () => this.picks(this.date.value));
    this.other.addEventListener("click", () => this.picks(this.isNow() ? before(this.now()).first : ""));
    const labels = [make("label", "", this.kindLabel, " ", this.kind), make("label", "", this.dateLabel, " ", this.date)];
    this.element = make("div", "picker", ...labels, this.other);
  }

  /** `pick` is called with the span that is picked, or with null for today. */
  show({ nowMs, timeZone, pick }) {
    this.pick = pick;
    this.today = dateOf(nowMs, timeZone);
    this.yesterday = dateOf(day(nowMs, timeZone)[0] - 1, timeZone);
    put(this.dateLabel, text("pick.date"));
    put(this.kindLabel, text("pick.kind"));
    for (const one of this.kinds) put(one, text(`pick.${one.value}`));
    this.date.max = this.latest();
    if (this.isNow() && this.shown && this.shown.first !== this.now().first) this.picks(""); // another week or month has begun
    put(this.other, text(`pick.${this.kind.value}.${this.isNow() ? "before" : "now"}`));
  }

  now() {
    return spanAt(this.kind.value, this.today);
  }

  /** Whether what is shown is the day, week or month that it is; the field is empty then. */
  isNow() {
    return this.date.value === "";
  }

  /** The last date that can be picked; today itself is what is shown when no day is. */
  latest() {
    return this.kind.value === "day" ? this.yesterday : this.today;
  }

  /** Show the span of this date; the one that it is for none, for a date in it, and for one that has not been. */
  picks(date) {
    const span = date && date <= this.latest() ? spanAt(this.kind.value, date) : this.now();
    const isNow = span.first === this.now().first;
    this.date.value = isNow ? "" : date;
    this.shown = isNow && span.kind === "day" ? null : span;
    this.pick(this.shown);
  }
}
