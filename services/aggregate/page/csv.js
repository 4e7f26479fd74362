// A trend as a file for a spreadsheet (RFC 4180): in the columns of `moretta stats --format csv`.

import { MS } from "./model.js";
import { stamp } from "./day.js";

let columns = [];

/** Take in the columns of config.json. */
export const head = (known) => { columns = known; };

/**
 * Periods as CSV; times are those of the site's clock with its offset from UTC, shares 0 to 1, lists have spaces between, and what was not published is empty.
 * With `;` between cells, numbers have a decimal comma, as spreadsheets expect where that is the decimal sign.
 */
export function csv(periods, timeZone, separator = ",") {
  const lines = periods.filter((one) => one.published > 0).map((one) => {
    const values = { ...one, ...ends(one, "interval"), ...ends(one, "sampling_interval") };
    const times = { start: stamp(one.start / MS, timeZone), end: stamp(one.end / MS, timeZone) };
    return columns.map((name) => times[name] ?? written(cell(values[name]), separator));
  });
  return [columns, ...lines].map((cells) => `${cells.join(separator)}\r\n`).join("");
}

const written = (value, separator) => (separator === ";" && typeof value === "number" ? `${value}`.replace(".", ",") : value);

function ends(one, name) {
  const [low, high] = one[name] ?? [];
  return { [`${name}_low`]: low, [`${name}_high`]: high };
}

/** A value as a cell; a text that is none of the contract's words is left out, since a spreadsheet would run a formula. */
function cell(value) {
  if (Array.isArray(value)) return value.map(cell).join(" ");
  return typeof value === "string" && !/^\w[\w.:-]*$/.test(value) ? "" : value ?? "";
}

/** Have the browser save a text under a name. */
export function save(name, words) {
  const address = URL.createObjectURL(new Blob([words], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}
