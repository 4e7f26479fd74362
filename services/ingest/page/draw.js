// The view in which privacy areas are drawn over a still, which stays in this browser.

import { crossesItself, flat, MOST_AREAS, MOST_POINTS, point, yaml } from "./areas.js";
import { number, text } from "./texts.js";

const STEP = 0.01;
const FINE_STEP = 0.001;
const NEAR = 0.025;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const COLOURS = ["#ffd166", "#5be3ff", "#ff9ec4", "#b6f09c"];

const WARNING = new Set([
  "draw.no-picture",
  "draw.flat",
  "draw.too-few",
  "draw.finished-crossed",
  "draw.copied-open",
  "draw.selected-open",
]);

const element = (id) => document.getElementById(id);

export class Drawing {
  constructor() {
    this.still = null;
    this.areas = [];
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
    this.areas.push({ name: "", points: this.draft });
    const crossed = crossesItself(this.draft);
    this.draft = [];
    return this.say(crossed ? "draw.finished-crossed" : "draw.finished", { number: this.areas.length });
  }

  remove(index) {
    this.areas.splice(index, 1);
    element("areas-heading").focus();
    this.say("draw.removed", { number: index + 1 });
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
    this.renderAreas();
    this.paint();
  }

  renderSize() {
    const { width, height } = this.size;
    const isSize = [width, height].every((side) => Number.isInteger(side) && side >= 16 && side <= 8192);
    let key = "draw.size-hint";
    if (!isSize && (element("wide").value || element("high").value || this.still)) key = "draw.size-bad";
    else if (this.still && (width !== this.still.width || height !== this.still.height)) {
      const isShape = Math.abs(width / height / (this.still.width / this.still.height) - 1) < 0.01;
      key = isShape ? "draw.size-other" : "draw.shape-other";
    }
    const values = { width, height, still: this.still ? `${this.still.width} × ${this.still.height}` : "" };
    element("draw-size").className = `hint ${key === "draw.size-hint" ? "" : "warn"}`;
    const words = text(key, values);
    if (element("draw-size").textContent !== words) element("draw-size").textContent = words;
    const isReady = isSize && this.areas.length > 0;
    element("yaml").textContent = isReady ? yaml(this.size, this.areas) : text("draw.yaml-none");
    element("copy").disabled = !isReady;
    element("yaml-open").textContent = this.draft.length > 0 ? text("draw.yaml-open") : "";
  }

  renderAreas() {
    element("areas-none").hidden = this.areas.length > 0;
    element("areas").replaceChildren(...this.areas.map((area, index) => this.item(area, index)));
  }

  item(area, index) {
    const item = document.createElement("li");
    const label = document.createElement("label");
    const name = Object.assign(document.createElement("input"), {
      type: "text",
      id: `area-${index}`,
      maxLength: 60,
      value: area.name,
    });
    label.htmlFor = name.id;
    label.textContent = text("draw.name", { number: index + 1, points: area.points.length });
    name.addEventListener("input", () => {
      area.name = name.value;
      this.renderSize();
    });
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.textContent = text("draw.remove");
    button.setAttribute("aria-label", text("draw.remove-one", { number: index + 1 }));
    button.addEventListener("click", () => this.remove(index));
    const row = document.createElement("div");
    row.className = "row";
    row.append(name, button);
    item.append(label, row);
    if (crossesItself(area.points)) {
      const warning = Object.assign(document.createElement("p"), { className: "hint warn" });
      warning.textContent = text("draw.crossed");
      item.append(warning);
    }
    return item;
  }

  paint() {
    const context = this.board.getContext("2d");
    const { width, height } = this.board;
    const scale = width / (this.board.clientWidth || width);
    context.clearRect(0, 0, width, height);
    if (this.still) context.drawImage(this.still, 0, 0);
    this.areas.forEach(({ points }, index) => {
      this.trace(context, points, true);
      context.fillStyle = "rgb(0 0 0 / 75%)";
      context.fill("nonzero");
      outline(context, COLOURS[index % COLOURS.length], 2 * scale);
      label(context, points, String(index + 1), scale, this.board);
    });
    if (this.draft.length > 0) {
      this.trace(context, [...this.draft, this.cross], false);
      outline(context, "#ffffff", 2 * scale);
      for (const [x, y] of this.draft) dot(context, x * width, y * height, 5 * scale);
    }
    if (this.still && (this.draft.length > 0 || document.activeElement === this.board)) {
      this.crossHair(context, scale);
    }
  }

  trace(context, points, isClosed) {
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x * this.board.width, y * this.board.height);
    if (isClosed) context.closePath();
  }

  crossHair(context, scale) {
    const [x, y] = [this.cross[0] * this.board.width, this.cross[1] * this.board.height];
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, this.board.height);
    context.moveTo(0, y);
    context.lineTo(this.board.width, y);
    outline(context, "#ffffff", scale);
  }
}

/** A light line on a dark one, to be seen on any still. */
function outline(context, colour, width) {
  context.lineJoin = "round";
  context.strokeStyle = "#000000";
  context.lineWidth = width * 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = "#ffffff";
  context.fill();
  outline(context, "#ffffff", radius / 4);
}

function label(context, points, words, scale, { width, height }) {
  const middle = (axis) => points.reduce((sum, one) => sum + one[axis], 0) / points.length;
  context.font = `bold ${18 * scale}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = "#ffffff";
  context.fillText(words, middle(0) * width, middle(1) * height);
}
