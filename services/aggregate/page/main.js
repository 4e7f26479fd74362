// The page: reads config.json, connects, and shows what is known once a second and whenever something comes.

import { address, Bus, Refused, signer } from "./bus.js";
import { arrange, put } from "./elements.js";
import { empty, extend, MS, oldSince, period, sites, take, WHOLE } from "./model.js";
import { alertLine, SiteSection } from "./site.js";
import { choose, clock, text } from "./text.js";

const SHOW_MS = 250;
const TICK_MS = 1_000;
const SHORT_MS = 300_000;
const SHORT_WINDOWS = 200;
const byId = (id) => document.getElementById(id);

const known = empty();
const sections = new Map();
const histories = new Map();
const zones = new Map();
let config = { server: null, key: false, names: {} };
let bus = null;
let state = "connecting";
let lostMs = null;
let connectedMs = 0;
let pending = null;

const now = () => Date.now() + (bus?.offsetMs ?? 0);

function soon() {
  pending ??= setTimeout(() => {
    pending = null;
    show();
  }, SHOW_MS);
}

function show() {
  const found = sites(known);
  for (const { site, zones: ids } of found) {
    if (!sections.has(site)) sections.set(site, new SiteSection(site));
    const hasHistory = (zone) => histories.get(`${site}/${zone}`) !== null;
    const when = { nowMs: now(), connectedMs, timeZone: zones.get(site), hasHistory };
    sections.get(site).show(known, ids, config.names[site], when);
  }
  arrange(byId("sites"), found.map(({ site }) => sections.get(site).element));
  byId("nothing").hidden = state !== "live" || found.length > 0;
  showState();
}

function showState() {
  const shown = byId("connection");
  shown.dataset.state = state;
  put(shown, text(`state.${state}`));
  const old = state === "live" ? oldest() : null;
  const words = state === "lost" ? text("notice.lost", { time: clock(lostMs) }) : old !== null ? text("notice.old", { time: clock(old) }) : "";
  byId("notice").hidden = words === "";
  put(byId("notice"), words);
}

/** Since when no site at all publishes, in milliseconds; null while one does. */
function oldest() {
  const whole = [...known.windows.values()].filter(({ zone }) => zone === WHOLE).map((one) => oldSince(one, now()));
  return whole.length > 0 && whole.every((one) => one !== null) ? Math.max(...whole) : null;
}

/** Say something to those who listen to the page: only what changed and matters. */
function tell(words) {
  put(byId("told"), words);
}

function told(message, isLive) {
  const key = `${message?.site}/${message?.zone ?? message?.kind}/${message?.rule ?? message?.name}`;
  const before = (message?.type === "AlertV1" ? known.alerts : known.operations).get(key)?.state;
  if (!take(known, message, isLive ? now() : undefined)) return;
  if (message.type.endsWith("AlertV1") && isLive && before !== message.state) {
    const names = config.names[message.site]?.zones ?? {};
    const zoneName = (zone) => (zone === WHOLE ? text("whole") : names[zone] || zone);
    tell(text(`told.${message.state}`, { what: alertLine(message, { zoneName }) }));
  }
  if (message.type === "WindowV1" && isLive && !histories.has(`${message.site}/${message.zone}`)) remember(message);
  soon();
}

async function changed(to) {
  if (state === to) return;
  const wasLost = state === "lost" && lostMs !== null;
  state = to;
  if (to === "lost") lostMs = Date.now();
  if (to === "lost") tell(text("notice.lost", { time: clock(lostMs) }));
  if (to === "live") {
    connectedMs = now();
    if (wasLost) tell(text("notice.back"));
    soon();
    histories.clear();
    await bus.latest();
    connectedMs = now();
    await Promise.all([...known.windows.values()].map(remember));
  }
  show();
}

/** Ask for what was published of a zone before: today, or of short windows the last ones. */
async function remember(window) {
  const key = `${window.site}/${window.zone}`;
  histories.set(key, undefined);
  const length = (window.end - window.start) / MS;
  const since = length < SHORT_MS ? Math.round(window.end / MS - SHORT_WINDOWS * length) * MS : null;
  const answer = await bus.history(window.site, window.zone, since);
  histories.set(key, answer);
  if (answer === null) return;
  zones.set(window.site, answer.timezone);
  extend(known, key, answer.periods.map(period));
  soon();
}

async function connect(authenticator) {
  bus = new Bus(address(config.server, location.href), authenticator, { told, changed });
  try {
    await bus.run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    state = "connecting";
    showState();
    askKey(authenticator === null ? "" : text("key.refused"));
  }
}

function askKey(wrong) {
  byId("key").hidden = false;
  put(byId("key-error"), wrong);
  byId("seed").focus();
}

byId("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  const seed = byId("seed").value.trim();
  try {
    const authenticator = await signer(seed);
    byId("key").hidden = true;
    byId("seed").value = "";
    byId("numbers").focus();
    await connect(authenticator);
  } catch {
    askKey(text("key.wrong"));
  }
});

function speak(wanted) {
  const language = choose(wanted);
  document.documentElement.lang = language;
  document.title = `Moretta – ${text("title")}`;
  for (const one of document.querySelectorAll("[data-text]")) put(one, text(one.dataset.text));
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", text(one.dataset.label));
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", String(one.dataset.language === language));
  show();
}

for (const one of document.querySelectorAll("[data-language]")) one.addEventListener("click", () => speak([one.dataset.language]));
speak(navigator.languages);
setInterval(show, TICK_MS);

try {
  config = { ...config, ...(await (await fetch("config.json", { cache: "no-store" })).json()) };
} catch {
  put(byId("notice"), text("notice.config"));
}
if (config.server !== null) await (config.key ? askKey("") : connect(null));
