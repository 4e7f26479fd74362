// What a picked day, week or month adds up to, beside the one before.

import { arrange, make, pair, put } from "./elements.js";
import { figure } from "./model.js";
import { values } from "./figures.js";
import { number, text } from "./text.js";

export class Compared {
  constructor() {
    this.pairs = [pair(), pair()];
    this.element = make("dl", "compared");
    arrange(this.element, this.pairs.map(({ whole }) => whole));
  }

  /** Show the totals of a picked span, of which windows are to come where it `isOpen`; null is today, which has none. */
  show(picked, isOpen) {
    this.element.hidden = picked === null || picked.totals.every((one) => one === null);
    if (this.element.hidden) return;
    const terms = [isOpen ? "total.now" : "total.all", `total.${picked.span.kind}`];
    this.pairs.forEach(({ term, value }, index) => {
      put(term, text(terms[index]));
      put(value, inWords(picked.totals[index]));
    });
  }
}

/** A total in words; nothing while it is not known. */
function inWords(one) {
  if (one === null) return "";
  if (one.published === 0) return text("legend.gap");
  const { why } = figure(one, "rate");
  return why ? text(`why.${why}`) : [...values(one), ...withheld(one)].join(", ");
}

/** How many of its windows are in none of its figures. */
function* withheld({ windows_suppressed: some, windows_published: all }) {
  if (some > 0) yield text("windows.withheld", { some: number(some), all: number(all) });
}
