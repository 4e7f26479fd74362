// What the page takes for a message or an answer, under Node's own test runner; test_page_modules.py runs this file.

import assert from "node:assert/strict";
import { test } from "node:test";

const page = new URL("../../../services/aggregate/page/", import.meta.url);
const { answers, asText, fits, isPlain, matches, storedOf, subjectsOf } = await import(new URL("messages.js", page));

const API = "io.nats.jetstream.api.v1.";
const [HOUR, NOW] = [3_600e9, 1_790_000_000e9];
const window = (given = {}) => ({
  type: "WindowV1", site: "s", zone: "_site", profile: "alerting", start: 0, end: 5e6, persons: 10, rate: 0.5, interval: [0.2, 0.8], coverage: 1,
  gaps: [], suppressed: null, ...given,
});
const sent = (one) => Object.fromEntries(Object.entries(one).map(([name, value]) => [name, ["start", "end"].includes(name) ? asText(value) : value]));
const WINDOW = "moretta.v1.windows.s._site";
const base64 = (text) => Buffer.from(text).toString("base64");

test("a message is of the type, site and zone of its subject", () => {
  assert.ok(fits(window(), WINDOW));
  assert.ok(fits({ ...window(), unheard: "of" }, WINDOW));
  for (const subject of ["moretta.v1.windows.s.hall", "moretta.v1.windows.t._site", "moretta.v1.alerts.s._site", "_INBOX_subscriber.x"]) {
    assert.ok(!fits(window(), subject), subject);
  }
  const camera = { type: "CameraV1", site: "s", camera: "c", state: "live", since: 1, at: 2, lifetime: { start: 0, end: 1, pictures: 3, late: 0 } };
  assert.ok(fits(camera, "moretta.v1.cameras.s.c"));
  assert.ok(fits({ ...camera, lifetime: null }, "moretta.v1.cameras.s.c"));
  assert.ok(!fits({ ...camera, lifetime: { ...camera.lifetime, late: "3" } }, "moretta.v1.cameras.s.c"));
  assert.ok(!fits({ ...camera, camera: "d" }, "moretta.v1.cameras.s.c"));
  const alert = { type: "AlertV1", site: "s", zone: "z", rule: "r", profile: "lab", state: "firing", since: 1, start: 1, end: 2, rate: 0.1, interval: [0, 1], persons: 20, fire_below: 0.5 };
  assert.ok(fits(alert, "moretta.v1.alerts.s.z.r"));
  assert.ok(fits({ type: "OperationalAlertV1", site: "s", kind: "no-data", name: "z", state: "firing", since: 1, at: 2, reason: null }, "moretta.v1.operations.s.no-data.z"));
});

test("what could not be shown is no message", () => {
  const broken = [{ rate: "x" }, { rate: 1.5 }, { interval: [0.1] }, { end: 0 }, { start: "0" }, { profile: 5 }, { gaps: [1] }, { persons: {} }];
  for (const given of broken) assert.ok(!fits(window(given), WINDOW), JSON.stringify(given));
  for (const foreign of [null, 5, "x", {}, { type: "constructor" }, { type: `${API}stream_info_response` }]) assert.ok(!fits(foreign, WINDOW));
});

test("headers with a status or with a service's error are no message's", () => {
  const headers = (code, ...keys) => ({ code, keys: () => keys });
  assert.ok(isPlain(undefined));
  assert.ok(isPlain(headers(0, "Nats-Msg-Id", "traceparent")));
  assert.ok(!isPlain(headers(503)));
  assert.ok(!isPlain(headers(0, "Nats-Service-Error-Code")));
  assert.ok(matches("a.*.c", "a.b.c") && !matches("a.*.c", "a.b.d") && !matches("a.*", "a.b.c"));
});

test("an answer about a stream is of that stream", () => {
  const info = (given) => ({ type: `${API}stream_info_response`, config: { name: "WINDOWS" }, state: { subjects: { [WINDOW]: 3, other: 1 } }, ...given });
  assert.deepEqual(subjectsOf(info(), "WINDOWS"), [WINDOW]);
  assert.deepEqual(subjectsOf(info({ state: {} }), "WINDOWS"), []);
  assert.deepEqual(subjectsOf(info({ error: { code: 404, err_code: 10_059 } }), "WINDOWS"), []);
  for (const wrong of [info({ error: { code: 503, err_code: 10_008 } }), { ...info(), type: `${API}stream_msg_get_response` }, info({ config: { name: "ALERTS" } }), null, 5]) {
    assert.equal(subjectsOf(wrong, "WINDOWS"), null);
  }
});

test("a stored message is of the subject that was asked for", () => {
  const stored = (given, said = window()) => ({
    type: `${API}stream_msg_get_response`,
    message: { subject: WINDOW, seq: 1, data: base64(JSON.stringify(sent(said))), time: "2026-11-25T10:20:00.123456789Z", ...given },
  });
  assert.deepEqual(storedOf(stored(), WINDOW), { message: window(), storedMs: Date.UTC(2026, 10, 25, 10, 20, 0, 123) });
  assert.equal(storedOf(stored({ hdrs: base64("NATS/1.0\r\nNats-Msg-Id: 1\r\n\r\n") }), WINDOW).message.site, "s");
  for (const empty of [
    stored({ hdrs: base64("NATS/1.0 404 No Messages\r\n\r\n") }), stored({ hdrs: base64("NATS/1.0\r\nNats-Service-Error: x\r\n\r\n") }),
    stored({ data: "%" }), stored({ data: undefined }), stored({}, window({ zone: "hall" })), stored({}, { type: "StatsReplyV1" }),
    { type: `${API}stream_msg_get_response`, error: { code: 404, err_code: 10_037 } },
  ]) assert.deepEqual(storedOf(empty, WINDOW), {});
  for (const wrong of [stored({ subject: "moretta.v1.windows.s.hall" }), { ...stored(), type: "x" }, { type: `${API}stream_msg_get_response` }, null]) {
    assert.equal(storedOf(wrong, WINDOW), null);
  }
  assert.equal(storedOf({ type: `${API}stream_msg_get_response`, error: { code: 503, err_code: 10_008 } }, WINDOW), null);
});

test("history answers its question", () => {
  const asked = { type: "StatsRequestV1", site: "s", zone: "_site", step: "window" };
  const period = (given) => ({ site: "s", zone: "_site", start: NOW - HOUR, end: NOW, profiles: [], windows_published: 0, rate: null, ...given });
  const reply = (given) => ({ type: "StatsReplyV1", site: "s", zone: "_site", step: "window", since: NOW - HOUR, until: NOW + HOUR, error: null, periods: [period()], ...given });
  assert.ok(answers(reply(), asked, NOW));
  assert.ok(answers(reply({ error: "unavailable", periods: [] }), asked, NOW));
  assert.ok(answers(reply(), { ...asked, since: NOW - HOUR }, NOW + 9 * HOUR));
  const wrong = [
    { site: "t" }, { zone: "hall" }, { step: "hour" }, { type: "WindowV1" }, { since: NOW + HOUR }, { until: NOW - HOUR }, { since: NOW - 40 * HOUR }, { periods: null },
    ...[{ site: "t" }, { zone: "hall" }, { start: NOW - 2 * HOUR }, { start: NOW + HOUR, end: NOW + 2 * HOUR }, { rate: "x" }, { end: 0 }].map((one) => ({ periods: [period(one)] })),
    { periods: [null] },
  ];
  for (const given of wrong) assert.ok(!answers(reply(given), asked, NOW), JSON.stringify(given));
  assert.ok(!answers(reply(), { ...asked, since: NOW - 2 * HOUR }, NOW));
  const whole = { ...asked, since: reply().since, until: reply().until };
  assert.ok(answers(reply(), whole, NOW));
  assert.ok(!answers(reply(), { ...whole, until: whole.until + HOUR }, NOW)); // an earlier answer, of a part of the day
  assert.ok(!answers(null, asked, NOW));
});
