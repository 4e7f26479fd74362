// A site's alerts as a list: what fires first.

import { make, put } from "./elements.js";
import { MS } from "./model.js";
import { hasRules } from "./profile.js";
import { clock, number, percent, range, text } from "./text.js";

const READ = ["ALERTS", "OPERATIONS"];

export class Alerts {
  constructor() {
    this.title = make("h3");
    this.list = make("ul", "alerts");
    this.none = make("p", "hint");
    this.element = make("div", "box", this.title, this.none, this.list);
  }

  /** Show what was found under a profile; that there is none is only said once an answer said so. */
  show(found, profile, where) {
    put(this.title, text("alerts"));
    const why = reason(found, profile, where.latest);
    this.none.hidden = why === null;
    put(this.none, why === null ? "" : text(why));
    while (this.list.children.length > found.length) this.list.lastChild.remove();
    while (this.list.children.length < found.length) this.list.append(make("li", "", make("strong"), " ", make("span"), " ", make("small"), make("p", "action")));
    found.forEach((one, index) => {
      const [state, line, time, action] = this.list.children[index].children;
      this.list.children[index].className = one.state;
      put(state, [text(`alert.${one.state}`), one.severity && text(`severity.${one.severity}`)].filter(Boolean).join(", "));
      put(line, alertLine(one, where));
      put(time, alertTime(one, where));
      const todo = (one.state === "firing" && one.rule && where.ruleOf(one.zone, one.rule).action) || "";
      action.hidden = todo === "";
      put(action, todo);
    });
    this.list.hidden = found.length === 0;
  }
}

/** What has to be said beside the list, as a key of the words; null: nothing. */
function reason(found, profile, latest) {
  if (profile !== null && !hasRules(profile)) return "alerts.not";
  if (latest.is("failed", READ)) return "alerts.failed";
  if (latest.is("refused", READ)) return "alerts.refused";
  return found.length > 0 || latest.is("asking", READ) ? null : "alerts.none";
}

/** What an alert says, without its state. */
export function alertLine(one, { zoneName, ruleOf }) {
  if (one.type === "OperationalAlertV1") {
    const name = one.kind === "no-data" ? zoneName(one.name) : one.name;
    const why = one.reason && one.reason !== one.kind ? ` (${text(`gap.${one.reason}`)})` : "";
    return text(`operation.${one.kind}`, { name }, `${one.kind}: ${name}`) + why;
  }
  const rule = ruleOf(one.zone, one.rule).name || one.rule;
  const { persons } = one;
  return text("alert.line", { zone: zoneName(one.zone), rule, rate: percent(one.rate), interval: range(one.interval), persons: number(persons), below: percent(one.fire_below) });
}

function alertTime(one, { nowMs, timeZone }) {
  const since = clock(one.since / MS, timeZone, nowMs);
  if (one.state === "firing") return text("alert.since", { time: since });
  return text("alert.until", { since, time: clock((one.end ?? one.at) / MS, timeZone, nowMs) });
}
