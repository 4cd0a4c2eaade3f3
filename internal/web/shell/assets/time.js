// Relative times that tick, with the exact one on hover, in the viewer's zone.

/**
 * Says a duration in one unit, as the server does: "1 s", "4 min", "3 h", "58 d".
 * @param {number} seconds
 * @returns {string}
 */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 48 * 3600) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

const exactForm = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clockForm = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const dayForm = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/**
 * The exact time in the viewer's zone.
 * @param {Date} at
 */
export function exact(at) {
  return exactForm.format(at);
}

/** How far this browser's clock is ahead of the server's, in milliseconds; set from the stream's first event. */
let ahead = 0;

/** @param {number} serverNow Unix milliseconds at the server */
export function setServerNow(serverNow) {
  ahead = Date.now() - serverNow;
}

/** The server's time now, in Unix milliseconds, as far as this page knows. */
export function serverNow() {
  return Date.now() - ahead;
}

/**
 * Writes every <time data-ago>, <time data-clock> and <time data-hour> below root afresh.
 * @param {ParentNode} root
 */
export function tick(root = document) {
  const now = serverNow();
  for (const el of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[data-ago]"))) {
    const text = span((now - Date.parse(el.dateTime)) / 1000);
    if (el.textContent !== text) el.textContent = text;
  }
  for (const el of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[data-clock]"))) {
    const at = new Date(el.dateTime);
    const text = now - at.getTime() > 18 * 3600e3 ? dayForm.format(at) : clockForm.format(at);
    if (el.textContent !== text) el.textContent = text;
  }
  for (const el of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[data-hour]"))) {
    const text = clockForm.format(new Date(el.dateTime));
    if (el.textContent !== text) el.textContent = text;
  }
}

/** Starts the ticking; the exact time is put into the title when somebody points at one. */
export function startTime() {
  tick();
  setInterval(() => document.hidden || tick(), 1000);
  document.addEventListener("pointerover", (ev) => {
    const el = ev.target instanceof Element ? ev.target.closest("time") : null;
    if (el) el.title = exact(new Date(el.dateTime));
  });
}
