// Ties the page together: language, the place that the address names, the three views.

import { onLanguage, preferred, speak } from "./texts.js";
import { Aiming } from "./aim.js";
import { Drawing } from "./draw.js";
import { Publishing } from "./publish.js";

const place = {
  get site() {
    return document.getElementById("site").value.trim();
  },
  get camera() {
    return document.getElementById("camera").value.trim();
  },
};

/**
 * Take `#site/camera` or `#site/camera/token`; a token does not stay in the address bar, nor in the history. While a
 * camera is in use, the address goes back to that one.
 */
function readAddress() {
  const [site, camera, token] = location.hash.slice(1).split("/").map(decoded);
  if (publishing.stopper || aiming.stopper) {
    name(place.site, place.camera);
    return;
  }
  if (site) document.getElementById("site").value = site;
  if (camera) document.getElementById("camera").value = camera;
  if (!token) return;
  document.getElementById("token").value = token;
  name(site, camera);
}

/** Put a camera into the address bar. */
function name(site, camera) {
  history.replaceState(null, "", `#${encodeURIComponent(site)}/${encodeURIComponent(camera)}`);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function show(tab) {
  for (const other of document.querySelectorAll("[role=tab]")) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  document.dispatchEvent(new CustomEvent("shown", { detail: tab.getAttribute("aria-controls") }));
}

function arrow(event) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const at = tabs.indexOf(event.target);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  show(tab);
  tab.focus();
}

for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", arrow);
}
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => speak(button.dataset.language));
}
const drawing = new Drawing();
const publishing = new Publishing(place, (width, height) => drawing.offerSize(width, height));
const aiming = new Aiming(place);
readAddress();
addEventListener("hashchange", readAddress);
for (const view of [publishing, aiming, drawing]) onLanguage(() => view.render());
await speak(preferred());
document.querySelector("main").hidden = false;
