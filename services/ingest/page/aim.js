// The view that tells how well a camera is aimed, without its picture. It reads AimReportV1, a line each.

import { accepted, Refused } from "./whip.js";
import { has, number, percent, put, text } from "./texts.js";

const COLUMNS = 32;
const ROWS = 18;
const TOP_STEP = 9;
const NANO = 1e9;
const NEEDED = ["operator", "operator-token", "why"];
/** What the audit takes as a name: `OperatorName` of proto/control.py. */
const NAME = /^[A-Za-z0-9_.@+-]{1,64}$/;

const element = (id) => document.getElementById(id);

export class Aiming {
  constructor(place) {
    this.place = place;
    this.code = "idle";
    this.report = null;
    this.stopper = null;
    element("aim-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.stopper) this.stop("stopped");
      else this.start();
    });
    document.addEventListener("shown", () => this.render());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.render());
  }

  start() {
    const missing = NEEDED.find((id) => !element(id).value.trim());
    const wrong = missing ?? (NAME.test(element("operator").value.trim()) ? null : "operator");
    for (const id of NEEDED) element(id).setAttribute("aria-invalid", String(id === wrong));
    if (wrong || !this.place.site || !this.place.camera) {
      this.say(missing ? `no-${missing}` : wrong ? "bad-operator" : "no-place");
      element(wrong ?? "tab-publish").focus();
      return;
    }
    this.stopper = new AbortController();
    this.report = null;
    this.say("starting");
    this.run(this.stopper.signal);
  }

  stop(code) {
    this.stopper?.abort();
    this.stopper = null;
    this.say(code);
  }

  async run(signal) {
    try {
      const answer = accepted(
        await fetch(`/api/${encodeURIComponent(this.place.site)}/${encodeURIComponent(this.place.camera)}/aim`, {
          method: "POST",
          headers: {
            "Content-Type": "application/json",
            Authorization: `Bearer ${element("operator-token").value.trim()}`,
          },
          body: JSON.stringify({ operator: element("operator").value.trim(), why: element("why").value.trim() }),
          signal,
        }),
      );
      for await (const line of lines(answer.body)) {
        this.report = JSON.parse(line);
        this.say("watching");
        this.render();
      }
      this.stop(`ended.${this.report?.ended ?? "lost"}`);
    } catch (error) {
      if (!signal.aborted) this.stop(failure(error));
    }
  }

  say(code) {
    if (code === this.code) return;
    this.code = code;
    this.render();
  }

  render() {
    const { site, camera } = this.place;
    element("aim-place").textContent = site && camera ? text("aim.place", { site, camera }) : text("aim.no-place");
    put(element("aim-toggle"), this.stopper ? "aim.stop" : "aim.start");
    element("aim-toggle").classList.toggle("stop", this.stopper !== null);
    const calm = ["idle", "starting", "watching", "stopped", "ended.time"].includes(this.code);
    element("aim-say").className = `say ${calm ? "calm" : "bad"}`;
    setText("aim-say", this.code === "idle" ? "" : text(`aim.${this.code}`));
    this.renderReport(this.report ?? {});
    drawHeat(this.report?.heat);
  }

  renderReport({ advice = [], left, sizes, picture_sizes: own, smallest, brightness, sharpness, ...faces }) {
    const said = advice.map(inWords);
    const list = element("advice");
    // A live region: what stays the same is not said again.
    if (list.dataset.said !== said.join()) {
      list.dataset.said = said.join();
      list.replaceChildren(...said.map((words) => Object.assign(document.createElement("li"), { textContent: words })));
      list.classList.toggle("good", advice[0]?.code === "fine");
    }
    setText("seconds-left", left && this.stopper ? text("aim.left", { seconds: number(Math.ceil(left / NANO)) }) : "");
    setText("aim-size", sizes ? `${quantiles(sizes)} ${text("aim.smallest", { size: number(smallest) })}` : "–");
    setText("aim-picture-size", own ? quantiles(own) : "–");
    setText("aim-small", faces.too_small == null ? "–" : percent(faces.too_small));
    setText("aim-unsure", faces.unsure == null ? "–" : percent(faces.unsure));
    setText("aim-brightness", brightness == null ? "–" : percent(brightness));
    setText("aim-sharpness", sharpness == null ? "–" : number(sharpness, 2));
    const withheld = advice.some(({ code }) => code === "faces-withheld");
    const where = withheld ? "withheld" : this.report ? placeOf(this.report.heat) : "nothing";
    element("heat").setAttribute("aria-label", `${text("aim.heat")} ${text(`aim.heat-${where}`)}`);
    setText("heat-words", text(`aim.heat-${where}`));
  }
}

async function* lines(body) {
  let rest = "";
  for await (const chunk of chunks(body.pipeThrough(new TextDecoderStream()))) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop();
    yield* parts.filter((part) => part.trim());
  }
  if (rest.trim()) yield rest;
}

/** Not every browser can iterate over a stream. */
async function* chunks(stream) {
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}

function failure(error) {
  if (!(error instanceof Refused)) return "lost";
  const known = { 401: "unauthorised", 403: "forbidden", 404: "unknown", 409: "not-live" }[error.status];
  return known ?? (error.status === 429 || error.status >= 500 ? "busy" : "refused");
}

function inWords({ code, share = null, limit = null }) {
  const key = code === "fine" && limit > 0 ? "advice.fine-smaller" : `advice.${code}`;
  if (!has(key)) return code;
  return text(key, { share: share === null ? "?" : percent(share), limit: limit === null ? "?" : number(limit) });
}

function quantiles({ p10, p50, p90 }) {
  return text("aim.sizes", { p10: number(p10), p50: number(p50), p90: number(p90) });
}

function setText(id, words) {
  if (element(id).textContent !== words) element(id).textContent = words;
}

/** Which ninth of the picture has the most faces, as a word of the texts: `top-left`. */
function placeOf(heat) {
  if (!heat) return "few";
  const sums = Array(9).fill(0);
  [...heat].forEach((digit, index) => {
    const [row, column] = [Math.floor(index / COLUMNS), index % COLUMNS];
    sums[Math.floor((row * 3) / ROWS) * 3 + Math.floor((column * 3) / COLUMNS)] += Number(digit);
  });
  const most = sums.indexOf(Math.max(...sums));
  return `${["top", "middle", "bottom"][Math.floor(most / 3)]}-${["left", "centre", "right"][most % 3]}`;
}

/** Paint the digits on a blank canvas, row after row. */
function drawHeat(heat) {
  const canvas = element("heat");
  const style = getComputedStyle(canvas);
  const context = canvas.getContext("2d");
  const [wide, high] = [canvas.width / COLUMNS, canvas.height / ROWS];
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (let index = 0; index < ROWS * COLUMNS; index += 1) {
    const [row, column] = [Math.floor(index / COLUMNS), index % COLUMNS];
    const step = Number(heat?.[index] ?? 0);
    context.globalAlpha = step === 0 ? 1 : 0.15 + (0.85 * step) / TOP_STEP;
    context.fillStyle = style.getPropertyValue(step === 0 ? "--cell" : "--accent");
    context.fillRect(column * wide + 1, row * high + 1, wide - 2, high - 2);
  }
  context.globalAlpha = 1;
}
