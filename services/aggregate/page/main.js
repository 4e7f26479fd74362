// The page: reads config.json, connects, and shows what is known once a second and whenever something comes.

import { address, Bus, Refused } from "./bus.js";
import { readConfig } from "./config.js";
import { head } from "./csv.js";
import { arrange, put } from "./elements.js";
import { History, stepOf } from "./history.js";
import { askKey, hideKey, keyOf, linkedSeed, onKey } from "./key.js";
import { Latest } from "./latest.js";
import { empty, extend, period, sites, take } from "./model.js";
import { hush, Notice, tell } from "./notice.js";
import { Picked } from "./picked.js";
import { hasRules, learn, profileOf, WHOLE } from "./profile.js";
import { alertLine } from "./alerts.js";
import { SiteSection } from "./site.js";
import { choose, own, text } from "./text.js";
import { ownClock } from "./timing.js";
import { learnGaps } from "./words.js";

const SHOW_MS = 250;
const TICK_MS = 1_000;
const byId = (id) => document.getElementById(id);

const known = empty();
const sections = new Map();
const zones = new Map();
const notice = new Notice();
let config = { server: null, key: false, names: {} };
let bus = null;
let latest = null;
let history = null;
let pending = null;

const now = () => ownClock() + (bus?.offsetMs ?? 0);
const zoneOf = (site) => zones.get(site) ?? config.names[site]?.timezone;
const picked = new Picked((key, step, from, until) => {
  const window = known.windows.get(key);
  return history.ask(window, step === "window" ? stepOf(window) : step, from, until);
}, soon);
const boundsOf = (site) => (zone) => {
  const rules = Object.entries(config.names[site]?.rules ?? {}).filter(([key]) => key.startsWith(`${zone}/`));
  return [...new Set(rules.map(([, { below }]) => below).filter(Number.isFinite))].sort();
};
const rulesOf = (site) => (zone, rule) => {
  const { language, rules } = config.names[site] ?? {};
  const { name, action } = rules?.[`${zone}/${rule}`] ?? {};
  return { name: own(name, language), action: own(action, language) };
};
const nameOf = (site) => (zone) => (zone === WHOLE ? text("whole") : config.names[site]?.zones?.[zone] || zone);

function soon() {
  pending ??= setTimeout(() => {
    pending = null;
    show();
  }, SHOW_MS);
}

function show() {
  const [found, nowMs] = [sites(known), now()];
  for (const { site, zones: ids } of found) {
    if (!sections.has(site)) sections.set(site, new SiteSection(site));
    const named = { timeZone: zoneOf(site), zoneName: nameOf(site), ruleOf: rulesOf(site), boundsOf: boundsOf(site) };
    const picking = { pick: (span) => picked.pick(site, span), pickedOf: (zone) => picked.of(site, zone, zoneOf(site), nowMs) };
    const where = { nowMs, offsetMs: bus?.offsetMs ?? 0, ...named, ...picking, history, latest };
    sections.get(site).show(known, ids, config.names[site]?.name, where);
    if (notice.state === "live" && latest.states.WINDOWS !== "asking") {
      for (const zone of ids) history.want(known.windows.get(`${site}/${zone}`));
    }
  }
  arrange(byId("sites"), found.map(({ site }) => sections.get(site).element));
  notice.show(known, latest, zoneOf, found.map(({ site }) => site), nowMs);
}

/** A live message. */
function told(message) {
  const news = take(known, message, ownClock());
  if (message.type === "WindowV1" && known.gone.delete(`${message.site}/${message.zone}`)) history.forget(`${message.site}/${message.zone}`);
  if (news === null) return;
  const isSeen = message.type === "OperationalAlertV1" || (message.type === "AlertV1" && hasRules(profileOf(known, message.site)));
  if (isSeen && news.before?.state !== message.state) {
    tell(text(`told.${message.state}`, { what: alertLine(message, { zoneName: nameOf(message.site), ruleOf: rulesOf(message.site) }) }, ""));
  }
  soon();
}

function changed(state) {
  notice.changed(state, now());
  if (state === "live") {
    hideKey();
    history.restart();
    picked.restart();
    latest.start();
  } else history.interrupt();
  if (state === "refused" && !notice.wasLive) askKey("");
  show();
}

function answered(key, reply) {
  zones.set(reply.site, reply.timezone);
  extend(known, key, reply.periods.map(period));
}

async function connect(key) {
  if (key?.proof && !config.isNamed) await configure(key.proof);
  bus?.stop();
  bus = new Bus(address(config.server, location.href), key?.authenticator ?? null, { told, changed, denied: (stream) => latest.set(stream, "refused") });
  latest = new Latest(bus, { found: (message, heardMs) => take(known, message, heardMs) && soon(), read: soon });
  history = new History(bus, { found: answered, gone: (key) => known.gone.add(key), changed: soon });
  try {
    await bus.run();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    changed("refused");
    askKey(text("key.refused"));
  }
}

async function configure(proof) {
  config = await readConfig((fault) => {
    notice.fault = fault;
    show();
  }, proof);
  learn(config.profiles);
  head(config.columns);
  learnGaps(config.gaps);
  byId("cameras").hidden = config.cameras === null;
  if (config.cameras !== null) byId("cameras").firstElementChild.href = config.cameras;
}

function speak(wanted) {
  const language = choose(wanted);
  hush();
  document.documentElement.lang = language;
  document.title = `Moretta – ${text("title")}`;
  for (const one of document.querySelectorAll("[data-text]")) put(one, text(one.dataset.text));
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", text(one.dataset.label));
  for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", String(one.dataset.language === language));
  show();
}

for (const one of document.querySelectorAll("[data-language]")) one.addEventListener("click", () => speak([one.dataset.language]));
onKey(connect);
speak(navigator.languages);
setInterval(show, TICK_MS);

await configure(null);
const seed = linkedSeed(location.hash);
const key = seed && (await keyOf(seed));
if (key || !config.key) await connect(key);
else if (!seed) askKey("");
