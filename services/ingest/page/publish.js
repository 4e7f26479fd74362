// The view that makes this device a camera.

import { awake, camera, release, withheld } from "./device.js";
import { NO_ANSWER, status, THROTTLED } from "./status.js";
import { number, put, text } from "./texts.js";
import { Refused, Session } from "./whip.js";

const SECOND = 1000;
const LONGEST_S = 30;
const HEALTHY_MS = 60 * SECOND;
const SILENT_MS = 8 * SECOND;
const LOST_MS = 4 * SECOND;
/** For so long the server may hold a camera for a session of this page that it does not know to be over. */
const HELD_MS = 20 * SECOND;
/** 99 of 100 pictures are promised. */
const JUDGED = 100;
const AT_WORK = new Set(["live", "paused", "stalled", "failed-config"]);
/** Reasons of a state that say more than the state does. */
const TELLING = new Set(["no-worker", "picture-changed", "schedule", "undecodable"]);

const element = (id) => document.getElementById(id);

/** What is said of a refusal or a lost network, a key below `state.`, and whether only a person can mend it. */
function verdict(error) {
  if (error instanceof Refused) {
    const known = { 401: "unauthorised", 404: "unknown", 409: "in-use" }[error.status];
    if (known) return { code: known, final: true };
    if (error.status === 403) return { code: "paused", final: false };
    return error.status >= 500 || error.status === 429
      ? { code: "busy", final: false }
      : { code: "refused", final: true };
  }
  return { code: "lost", final: false };
}

export class Publishing {
  constructor(place, onSize) {
    this.place = place;
    this.onSize = onSize;
    this.code = "idle";
    this.reason = null;
    this.stopper = null;
    this.stream = null;
    this.session = null;
    this.lock = null;
    this.figures = null;
    this.waitUntil = null;
    // A page that was loaded again may have left a session behind whose goodbye was lost.
    this.heldUntil = performance.getEntriesByType("navigation")[0]?.type === "navigate" ? 0 : HELD_MS;
    element("publish-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.stopper) this.stop("stopped");
      else this.start();
    });
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => this.stayAwake());
  }

  start() {
    const missing = ["site", "camera", "token"].find((id) => !element(id).value.trim());
    for (const id of ["site", "camera", "token"]) element(id).setAttribute("aria-invalid", String(id === missing));
    if (missing) {
      this.say(missing === "token" ? "no-token" : "no-place");
      element(missing).focus();
      return;
    }
    if (!navigator.mediaDevices?.getUserMedia) {
      this.say("insecure");
      return;
    }
    element("toggle").focus(); // the fields are disabled now, and with them the focus would be lost
    this.stopper = new AbortController();
    this.run(this.stopper.signal);
  }

  /** Let go of the camera and of the server, and say why. */
  stop(code) {
    this.stopper?.abort(new DOMException(code, "AbortError"));
    this.stopper = null;
    const session = this.session;
    this.session = null;
    if (session !== null) this.hold();
    release(this.stream);
    this.stream = null;
    this.figures = null;
    this.waitUntil = null;
    this.lock?.release();
    this.lock = null;
    this.say(code);
    return session?.close(code === "left") ?? Promise.resolve();
  }

  /** Expect the server to hold the camera for a session of ours, until it knows that this is over. */
  hold() {
    this.heldUntil = performance.now() + HELD_MS;
  }

  leave() {
    if (this.stopper) this.stop("left");
  }

  async run(signal) {
    this.say("asking");
    let stream;
    try {
      stream = await camera(document.querySelector("[name=facing]:checked").value);
    } catch (error) {
      if (!signal.aborted) await this.stop(withheld(error));
      return;
    }
    if (signal.aborted) {
      release(stream);
      return;
    }
    this.stream = stream;
    this.render();
    stream.getVideoTracks()[0].addEventListener("ended", () => !signal.aborted && this.stop("camera-gone"));
    await this.stayAwake();
    await this.publish(signal);
  }

  /** Publish, and again after every loss, until it is stopped or only a person can help. */
  async publish(signal) {
    let wait = 1;
    while (!signal.aborted) {
      const began = performance.now();
      const end = await this.attempt(signal);
      if (signal.aborted) return;
      if (end.final) {
        await this.stop(end.code);
        return;
      }
      this.figures = null;
      if (performance.now() - began > HEALTHY_MS) wait = 1;
      await this.pause(end, wait * (0.8 + 0.4 * Math.random()), signal);
      wait = Math.min(LONGEST_S, wait * 2);
    }
  }

  /** Publish once, until that is over; returns what is to be said of its end. The session is this attempt's alone. */
  async attempt(signal) {
    let session = null;
    let mayBeHeld = true;
    let end = { code: "lost", final: false };
    try {
      if (this.code === "asking") this.say("connecting");
      session = await Session.open(this.stream, this.address("whip"), this.token, signal);
      if (!signal.aborted) {
        this.session = session; // whoever stops, closes it
        await this.watch(session, signal);
      }
    } catch (error) {
      end = verdict(error);
      mayBeHeld = session !== null || !(error instanceof Refused); // an offer without an answer may have been accepted
    }
    if (mayBeHeld) this.hold();
    if (this.session === session) this.session = null;
    const closing = session?.close(); // a server that is gone is not waited for long
    end = await this.weighed(end, signal);
    if (!signal.aborted && !end.final) this.say(end.code, end.reason);
    await closing;
    return end;
  }

  /** An end that the camera's own state explains is told as that: a pause and a wrong picture let every peer go. */
  async weighed(end, signal) {
    if (!["in-use", "busy", "lost"].includes(end.code)) return end;
    const { state, reason } = await this.status(signal).catch(() => NO_ANSWER);
    if (state === "paused" || state === "failed-config") return { code: state, reason, final: false };
    return end.code === "in-use" && performance.now() < this.heldUntil ? { code: "held", final: false } : end;
  }

  async pause({ code, reason }, seconds, signal) {
    const until = performance.now() + seconds * SECOND;
    this.waitUntil = until;
    this.say(code, reason);
    while (performance.now() < until && !signal.aborted) {
      this.renderFigures();
      await sleep(Math.min(SECOND, Math.max(50, until - performance.now())));
    }
    if (!signal.aborted) this.waitUntil = null; // otherwise it may be another run's already
  }

  /** Look once a second until the server or the way to it has gone. Raises Refused. */
  async watch(session, signal) {
    let heard = performance.now();
    let connected = heard;
    while (!signal.aborted) {
      const status = await this.status(signal);
      const sending = await session.sending();
      if (signal.aborted) break;
      const now = performance.now();
      const isConnected = session.peer.connectionState === "connected";
      if (isConnected) connected = now;
      if (AT_WORK.has(status.state) || (status === THROTTLED && isConnected)) heard = now;
      if (status.state !== null) {
        this.figures = { ...status, sending };
        if (status.width) this.onSize(status.width, status.height);
        this.say(AT_WORK.has(status.state) ? status.state : "connecting", status.reason);
      }
      const isOver = ["failed", "closed"].includes(session.peer.connectionState);
      if (isOver || now - connected > LOST_MS || now - heard > SILENT_MS) break;
      await sleep(SECOND);
    }
  }

  status(signal) {
    return status(this.address("api"), this.token, LOST_MS, signal);
  }

  get token() {
    return element("token").value.trim();
  }

  address(root) {
    return `/${root}/${encodeURIComponent(this.place.site)}/${encodeURIComponent(this.place.camera)}`;
  }

  async stayAwake() {
    const stopper = this.stopper;
    if (!stopper) return;
    let lock = await awake();
    if (stopper === this.stopper) [this.lock, lock] = [lock, this.lock]; // else it was stopped meanwhile
    lock?.release();
  }

  say(code, reason = null) {
    const telling = TELLING.has(reason) ? reason : null;
    if (code !== this.code || telling !== this.reason) {
      this.code = code;
      this.reason = telling;
      this.render();
    }
    this.renderFigures();
  }

  render() {
    const running = this.stopper !== null;
    put(element("toggle"), running ? "publish.stop" : "publish.start");
    element("toggle").classList.toggle("stop", running);
    element("publish-choices").disabled = running;
    if (element("preview").srcObject !== this.stream) element("preview").srcObject = this.stream;
    element("preview-empty").hidden = this.stream !== null;
    const kind = kindOf(this.code);
    element("badge").hidden = !running;
    element("badge").className = `badge ${kind}`;
    element("badge").textContent = text(`badge.${this.code}`);
    element("publish-say").className = `say ${kind}`;
    const why = this.reason === null ? "" : ` ${text(`reason.${this.reason}`)}`;
    const words = text(`state.${this.code}`) + why;
    if (element("publish-say").textContent !== words) element("publish-say").textContent = words;
    this.renderFigures();
  }

  renderFigures() {
    const left = this.waitUntil === null ? null : Math.max(0, Math.ceil((this.waitUntil - performance.now()) / SECOND));
    element("again").hidden = left === null;
    if (left !== null) element("again").textContent = text("publish.again", { seconds: number(left) });
    const { width, height, fps, analysed_fps: analysed, lifetime, sending } = this.figures ?? {};
    const wide = width || sending?.width;
    element("figure-size").textContent = wide ? `${wide} × ${height || sending.height}` : "–";
    element("figure-fps").textContent = shown(fps ?? sending?.fps);
    element("figure-analysed").textContent = shown(analysed);
    element("figure-lifetime").textContent =
      lifetime?.pictures > 0 // 0: none was analysed in that window
        ? text(lifetime.late * JUDGED > lifetime.pictures ? "publish.late" : "publish.kept", { late: number(lifetime.late), pictures: number(lifetime.pictures) })
        : "–";
  }
}

function shown(value) {
  return value == null ? "–" : number(value, 1);
}

function kindOf(code) {
  if (code === "live") return "good";
  if (["idle", "asking", "connecting", "stopped", "left"].includes(code)) return "calm";
  return ["stalled", "paused", "lost", "busy", "held"].includes(code) ? "warn" : "bad";
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
