// The list of what is drawn: an entry for each area and for the line, where it is named, changed and removed.

import { crossesItself, isZone, isZoneId } from "./areas.js";
import { text } from "./texts.js";

/** What an area is, and what is said if its edge crosses itself. */
const KINDS = { privacy: "draw.black", zone: "draw.zone", ignore: "draw.ignored" };
const CROSSED = { privacy: "draw.crossed", zone: "draw.crossed-zone", ignore: "draw.crossed-ignored" };

/** What a line counts, as in the settings. */
const COUNTS = ["both", "leftwards", "rightwards"];

/**
 * The entry of an area. `renamed` is called when its words changed, `changed` when what it is changed, `remove` when it
 * is to go.
 */
export function areaItem(area, index, { renamed, changed, remove }) {
  const number = index + 1;
  const kind = select(`kind-${index}`, area.kind, KINDS, (value) => {
    area.kind = value;
    changed();
  });
  const title = label(kind, text("draw.area", { number, points: area.points.length }));
  const [caption, input, ...hints] = (isZone(area) ? zoneInput : nameInput)(area, index, renamed);
  const button = removeButton("draw.remove-one", number, remove);
  const item = make("li", title, kind, caption, row(input, button), ...hints);
  if (crossesItself(area.points)) item.append(note(CROSSED[area.kind], "warn"));
  return item;
}

/** The entry of the line. */
export function lineItem(line, { changed, remove }) {
  const words = Object.fromEntries(COUNTS.map((counts) => [counts, `draw.counts-${counts}`]));
  const counts = select("line-counts", line.counts, words, (value) => {
    line.counts = value;
    changed();
  });
  const hint = note("draw.line-hint");
  describe(counts, hint, "line-hint");
  const button = removeButton("draw.remove-line", "", remove);
  return make("li", label(counts, text("draw.line")), counts, hint, row(button));
}

/** Label and field for the name of an area that is no zone, which becomes a comment. */
function nameInput(area, index, renamed) {
  const input = field(`area-${index}`, area.name, 60);
  input.addEventListener("input", () => {
    area.name = input.value;
    renamed();
  });
  return [label(input, text("draw.name", { number: index + 1 })), input];
}

/** Label, field and hint for the id of a zone. */
function zoneInput(area, index, renamed) {
  const input = field(`area-${index}`, area.zone, 32);
  input.autocapitalize = "none";
  input.spellcheck = false;
  const hint = note("draw.zone-hint");
  const judge = () => {
    const isWrong = area.zone !== "" && !isZoneId(area.zone);
    input.setAttribute("aria-invalid", String(isWrong));
    hint.classList.toggle("warn", isWrong);
  };
  input.addEventListener("input", () => {
    area.zone = input.value.trim();
    judge();
    renamed();
  });
  judge();
  describe(input, hint, `zone-hint-${index}`);
  return [label(input, text("draw.zone-id", { number: index + 1 })), input, hint];
}

function field(id, value, maxLength) {
  return Object.assign(document.createElement("input"), { type: "text", id, value, maxLength, autocomplete: "off" });
}

function select(id, value, choices, chosen) {
  const made = Object.assign(make("select"), { id });
  for (const [choice, key] of Object.entries(choices)) made.append(new Option(text(key), choice));
  made.value = value;
  made.addEventListener("change", () => chosen(made.value));
  return made;
}

function label(control, words) {
  return Object.assign(document.createElement("label"), { htmlFor: control.id, textContent: words });
}

function note(key, kind = "") {
  return Object.assign(document.createElement("p"), { className: `hint ${kind}`, textContent: text(key) });
}

function describe(control, hint, id) {
  hint.id = id;
  control.setAttribute("aria-describedby", id);
}

function removeButton(key, number, remove) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: text("draw.remove") });
  button.setAttribute("aria-label", text(key, { number }));
  button.addEventListener("click", remove);
  return button;
}

function row(...parts) {
  return Object.assign(make("div", ...parts), { className: "row" });
}

function make(tag, ...parts) {
  const made = document.createElement(tag);
  made.append(...parts);
  return made;
}
