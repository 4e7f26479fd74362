// A trend as a file for a spreadsheet (RFC 4180): the columns that `moretta stats --format csv` has for the same.

import { asText } from "./messages.js";

const FIGURES = ["rate", "interval_low", "interval_high", "persons", "coverage", "suppressed"];

/** Periods as CSV; times are UTC, shares 0 to 1, and what was not published is empty. */
export function csv(periods) {
  const lines = periods.filter((one) => one.published > 0).map((one) => {
    const [low, high] = one.interval ?? [];
    const why = /^[a-z][a-z-]*$/.test(one.suppressed) ? one.suppressed : ""; // a spreadsheet would run a formula
    const values = { ...one, interval_low: low, interval_high: high, suppressed: why };
    return [asText(one.start), asText(one.end), ...FIGURES.map((name) => values[name] ?? "")];
  });
  return [["start", "end", ...FIGURES], ...lines].map((cells) => `${cells.join(",")}\r\n`).join("");
}

/** Have the browser save a text under a name. */
export function save(name, words) {
  const address = URL.createObjectURL(new Blob([words], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}
