// The view in which privacy areas, zones and a line are drawn over a still, which stays in this browser.

import { crossesItself, flat, isBlack, isZone, isZoneId, MOST_AREAS, MOST_POINTS, point, yaml } from "./areas.js";
import { paint } from "./board.js";
import { areaItem, lineItem } from "./items.js";
import { number, text } from "./texts.js";

const STEP = 0.01;
const FINE_STEP = 0.001;
const NEAR = 0.025;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const WARNING = new Set([
  "draw.no-picture",
  "draw.flat",
  "draw.too-few",
  "draw.line-needs-two",
  "draw.finished-crossed",
  "draw.copied-open",
  "draw.selected-open",
]);

const element = (id) => document.getElementById(id);

export class Drawing {
  constructor() {
    this.still = null;
    this.areas = [];
    this.line = null;
    this.draft = [];
    this.cross = [0.5, 0.5];
    this.said = ["draw.start", {}];
    this.sizeIsChosen = false;
    this.pointing = false;
    this.board = element("board");
    element("still").addEventListener("change", () => this.load(element("still").files[0]));
    for (const id of ["wide", "high"]) element(id).addEventListener("input", () => this.chooseSize());
    element("draw-undo").addEventListener("click", () => this.undo());
    element("draw-finish").addEventListener("click", () => this.finish());
    element("draw-line").addEventListener("click", () => this.makeLine());
    element("copy").addEventListener("click", () => this.copy());
    this.board.addEventListener("pointermove", (event) => this.point(event));
    this.board.addEventListener("pointerup", (event) => this.point(event) && this.set());
    this.board.addEventListener("keydown", (event) => this.key(event));
    for (const type of ["focus", "blur"]) this.board.addEventListener(type, () => this.paint());
    new ResizeObserver(() => this.paint()).observe(this.board);
  }

  /** Read a still from this device; nothing is sent. */
  async load(file) {
    if (!file) return;
    try {
      const still = await createImageBitmap(file);
      this.still?.close();
      this.still = still;
    } catch {
      this.say("draw.no-picture");
      return;
    }
    this.board.width = this.still.width;
    this.board.height = this.still.height;
    this.offerSize(this.still.width, this.still.height);
    this.say("draw.loaded", { width: this.still.width, height: this.still.height });
  }

  /** Take a size as the camera's, unless the reader gave one. */
  offerSize(width, height) {
    if (this.sizeIsChosen || (element("wide").value === String(width) && element("high").value === String(height))) {
      return;
    }
    element("wide").value = width;
    element("high").value = height;
    this.render();
  }

  chooseSize() {
    this.sizeIsChosen = true;
    this.render();
  }

  get size() {
    return { width: element("wide").valueAsNumber, height: element("high").valueAsNumber };
  }

  point(event) {
    this.pointing = true;
    const box = this.board.getBoundingClientRect();
    this.cross = point((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    this.paint();
    return true;
  }

  key(event) {
    const arrow = ARROWS[event.key];
    this.pointing = false;
    if (arrow) {
      const step = event.shiftKey ? FINE_STEP : STEP;
      this.cross = point(this.cross[0] + arrow[0] * step, this.cross[1] + arrow[1] * step);
      this.say("draw.at", this.where(), true);
    } else if (event.key === "Enter") this.set();
    else if (event.key === "Backspace") this.undo();
    else if (event.key === "Escape") element("areas-heading").focus();
    else return;
    event.preventDefault();
  }

  where() {
    return { x: number(this.cross[0] * 100, 1), y: number(this.cross[1] * 100, 1), points: number(this.draft.length) };
  }

  /** Set a point where the cross-hair is; on the first one it closes the area. */
  set() {
    if (this.still === null) return this.say("draw.still-first");
    if (this.areas.length >= MOST_AREAS) return this.say("draw.many-areas", { most: MOST_AREAS });
    const [first] = this.draft;
    if (this.draft.length >= 3 && this.isNear(first)) return this.finish();
    if (this.draft.length >= MOST_POINTS) return this.say("draw.many-points", { most: MOST_POINTS });
    const last = this.draft.at(-1);
    if (last && last[0] === this.cross[0] && last[1] === this.cross[1]) return this.say("draw.same-point");
    this.draft.push(this.cross);
    return this.say("draw.set", this.where());
  }

  isNear([x, y]) {
    const ratio = this.board.height / this.board.width;
    return Math.hypot(x - this.cross[0], (y - this.cross[1]) * ratio) < (this.pointing ? NEAR : STEP);
  }

  undo() {
    if (this.draft.length === 0) return this.say("draw.nothing-to-undo");
    this.draft.pop();
    return this.say("draw.undone", this.where());
  }

  finish() {
    if (this.draft.length < 3) return this.say("draw.too-few", this.where());
    if (flat(this.draft)) return this.say("draw.flat");
    this.areas.push({ kind: "privacy", name: "", zone: "", points: this.draft });
    const crossed = crossesItself(this.draft);
    this.draft = [];
    return this.say(crossed ? "draw.finished-crossed" : "draw.finished", { number: this.areas.length });
  }

  /** Make the two points the line at which is counted; a camera has one. */
  makeLine() {
    if (this.draft.length !== 2) return this.say("draw.line-needs-two", this.where());
    const key = this.line === null ? "draw.line-set" : "draw.line-replaced";
    this.line = { points: this.draft, counts: "both" };
    this.draft = [];
    return this.say(key);
  }

  remove(index) {
    this.areas.splice(index, 1);
    element("areas-heading").focus();
    this.say("draw.removed", { number: index + 1 });
  }

  removeLine() {
    this.line = null;
    element("areas-heading").focus();
    this.say("draw.line-removed");
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(element("yaml").textContent);
      this.say(this.draft.length > 0 ? "draw.copied-open" : "draw.copied");
    } catch {
      getSelection().selectAllChildren(element("yaml"));
      this.say(this.draft.length > 0 ? "draw.selected-open" : "draw.selected");
    }
  }

  say(key, values = {}, moved = false) {
    this.said = [key, values];
    if (moved) {
      this.paint();
      element("draw-say").textContent = text(key, values);
    } else this.render();
  }

  render() {
    element("draw-say").className = `say ${WARNING.has(this.said[0]) ? "warn" : "calm"}`;
    element("draw-say").textContent = text(...this.said);
    this.renderSize();
    this.renderSettings();
    this.renderItems();
    this.paint();
  }

  get isSize() {
    return Object.values(this.size).every((side) => Number.isInteger(side) && side >= 16 && side <= 8192);
  }

  renderSize() {
    const { width, height } = this.size;
    let key = "draw.size-hint";
    if (!this.isSize && (element("wide").value || element("high").value || this.still)) key = "draw.size-bad";
    else if (this.still && (width !== this.still.width || height !== this.still.height)) {
      const isShape = Math.abs(width / height / (this.still.width / this.still.height) - 1) < 0.01;
      key = isShape ? "draw.size-other" : "draw.shape-other";
    }
    const values = { width, height, still: this.still ? `${this.still.width} × ${this.still.height}` : "" };
    element("draw-size").className = `hint ${key === "draw.size-hint" ? "" : "warn"}`;
    const words = text(key, values);
    if (element("draw-size").textContent !== words) element("draw-size").textContent = words;
  }

  renderSettings() {
    const missing = this.missing();
    element("yaml").textContent = missing ?? yaml(this.size, this.areas, this.line);
    element("copy").disabled = missing !== null;
    element("yaml-open").textContent = this.draft.length > 0 ? text("draw.yaml-open") : "";
    const zones = [...new Set(this.areas.filter(isZone).map(({ zone }) => `{id: "${zone}"}`))];
    const isListed = missing === null && zones.length > 0;
    const listed = `zones: [${zones.join(", ")}]`;
    element("yaml-zones").textContent = isListed ? text("draw.yaml-zones", { zones: listed }) : "";
  }

  /** What is to be done before there are settings, in words; null if nothing is. */
  missing() {
    if (this.areas.length === 0 && this.line === null) return text("draw.yaml-none");
    const unnamed = this.areas.findIndex((area) => isZone(area) && !isZoneId(area.zone));
    if (unnamed >= 0) return text("draw.yaml-unnamed", { number: unnamed + 1 });
    return this.areas.some(isBlack) && !this.isSize ? text("draw.yaml-size") : null;
  }

  /** List what is drawn; the focus stays where it is. */
  renderItems() {
    const focused = document.activeElement?.id;
    const changed = () => this.render();
    const renamed = () => {
      this.renderSettings();
      this.paint();
    };
    const items = this.areas.map((area, index) =>
      areaItem(area, index, { renamed, changed, remove: () => this.remove(index) }),
    );
    if (this.line !== null) items.push(lineItem(this.line, { changed, remove: () => this.removeLine() }));
    element("areas").replaceChildren(...items);
    element("areas-none").hidden = items.length > 0;
    if (focused && document.activeElement?.id !== focused) element(focused)?.focus();
  }

  paint() {
    paint(this, document.activeElement === this.board);
  }
}
