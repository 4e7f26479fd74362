// What the page says of itself: whether it is connected, since when its numbers are old, what it could not read.

import { put } from "./elements.js";
import { isAsked } from "./key.js";
import { isOver, oldSince } from "./model.js";
import { WHOLE } from "./profile.js";
import { clock, text } from "./text.js";
import { ownClock } from "./timing.js";

const LOST_MS = 3_000;
const MOMENT_MS = 1_000;
const MOST_SENTENCES = 3;
const byId = (id) => document.getElementById(id);

/** Since when no site at all publishes: `{sinceMs, site}` of the one that did last; null while one does. Nobody waits for one that is over. */
export function oldest(known, nowMs) {
  const whole = [...known.windows.values()].filter(({ site, zone }) => zone === WHOLE && !isOver(known, site));
  const old = whole.map((one) => ({ sinceMs: oldSince(one, nowMs), site: one.site }));
  if (old.length === 0 || old.some(({ sinceMs }) => sinceMs === null)) return null;
  return old.reduce((one, other) => (other.sinceMs > one.sinceMs ? other : one));
}

/** The time zone that all sites have; undefined, which is the browser's, where they differ. */
export function commonZone(zones) {
  const found = new Set(zones);
  return found.size === 1 ? [...found][0] : undefined;
}

export class Notice {
  constructor() {
    /** `fault` is the key of what is wrong with the page's own settings. */
    Object.assign(this, { state: "connecting", sinceMs: null, wasLive: false, fault: null });
  }

  /** The connection is "live", "lost" or "refused". */
  changed(state, nowMs) {
    if (this.state === state) return;
    if (state === "live") this.back();
    else if (this.state === "live") this.lost(nowMs);
    this.state = state;
    this.wasLive ||= state === "live";
  }

  /** Say so, but not of a moment's loss. */
  lost(nowMs) {
    this.sinceMs = nowMs;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.isTold = true;
      tell(this.words());
    }, LOST_MS);
  }

  back() {
    clearTimeout(this.timer);
    if (this.isTold) tell(text("notice.back"));
    this.isTold = false;
  }

  /** Show it; `sites` are the sites' time zones by site. */
  show(known, latest, zoneOf, sites, nowMs) {
    this.zone = commonZone(sites.map(zoneOf));
    this.nowMs = nowMs;
    const shown = byId("connection");
    shown.dataset.state = this.badge();
    put(shown, text(`state.${this.badge()}`));
    const words = this.words() ?? this.about(known, latest, zoneOf, nowMs);
    byId("notice").hidden = words === null;
    put(byId("notice"), words ?? "");
    this.showNothing(latest, sites.length > 0);
  }

  badge() {
    if (this.state === "live") return "live";
    return this.wasLive ? "lost" : isAsked() ? "refused" : "connecting";
  }

  /** About the connection; null while it is there. */
  words() {
    if (this.fault !== null) return text(this.fault);
    if (this.state === "live" || this.state === "connecting") return null;
    if (!this.wasLive) return this.state === "refused" ? null : text("notice.unreached");
    return text(`notice.${this.state}`, { time: clock(this.sinceMs, this.zone, this.nowMs ?? this.sinceMs) });
  }

  /** About the numbers; null while nothing is wrong with them. */
  about(known, latest, zoneOf, nowMs) {
    if (this.state !== "live") return null;
    if (latest?.is("failed")) return text("latest.failed");
    const old = oldest(known, nowMs);
    return old === null ? null : text("notice.old", { time: clock(old.sinceMs, zoneOf(old.site), nowMs) });
  }

  showNothing(latest, isThere) {
    const isSaid = this.state === "live" && !isThere && latest !== null && !latest.is("asking") && !latest.is("failed");
    byId("nothing").hidden = !isSaid;
    byId("steps").hidden = !isSaid || latest.is("refused");
    put(byId("nothing"), text(latest?.is("refused") ? "latest.refused" : "nothing"));
  }
}

let said = { atMs: -Infinity, sentences: [] };

/** Take back what was said last: it was in another language. */
export function hush() {
  said = { atMs: -Infinity, sentences: [] };
  put(byId("told"), "");
}

/** Say something to those who listen to the page: only what changed and matters, and a few sentences of one moment together. */
export function tell(words) {
  const isSameMoment = ownClock() - said.atMs < MOMENT_MS;
  said = { atMs: ownClock(), sentences: [...(isSameMoment ? said.sentences : []), words].slice(0, MOST_SENTENCES) };
  put(byId("told"), said.sentences.join(" "));
}
