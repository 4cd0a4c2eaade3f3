/** Times for people: the labels of a time axis, ages and spans, in the viewer's zone. All times are Unix milliseconds. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 7 * DAY, 10 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
];

/** @param {number} n */
const two = (n) => String(n).padStart(2, "0");
const monthNames = new Intl.DateTimeFormat(undefined, { month: "short" });

/** @param {Date} d */
const day = (d) => d.getDate() + " " + monthNames.format(d);

/**
 * Where the ticks of an axis lie: round instants of the viewer's clock, at most `most` of them.
 * @param {number} from
 * @param {number} to
 * @param {number} most
 * @returns {{ at: number[], step: number }}
 */
export function ticks(from, to, most) {
  const least = (to - from) / Math.max(1, most);
  const step = STEPS.find((s) => s >= least) ?? 365 * DAY;
  /** @type {number[]} */
  const at = [];
  if (step >= DAY) {
    const d = new Date(from);
    d.setHours(0, 0, 0, 0);
    for (; d.getTime() <= to; d.setDate(d.getDate() + Math.round(step / DAY))) if (d.getTime() >= from) at.push(d.getTime());
    return { at, step };
  }
  const shift = -new Date(to).getTimezoneOffset() * MINUTE;
  for (let t = Math.ceil((from + shift) / step) * step - shift; t <= to; t += step) at.push(t);
  return { at, step };
}

/**
 * The labels of an axis: each says only what the one before it left open.
 * @param {number[]} at
 * @param {number} step
 */
export function labels(at, step) {
  let before = NaN;
  return at.map((t, i) => {
    const d = new Date(t);
    const last = new Date(before);
    before = t;
    if (step >= DAY || (d.getHours() === 0 && d.getMinutes() === 0 && step >= MINUTE && (i > 0 || step >= HOUR))) return day(d);
    const clock = two(d.getHours()) + ":" + two(d.getMinutes());
    if (step >= MINUTE) return clock;
    const same = i > 0 && last.getMinutes() === d.getMinutes();
    return (same ? "" : clock) + ":" + two(d.getSeconds());
  });
}

/**
 * An instant as exactly as `step` deserves.
 * @param {number} t
 * @param {number} step
 */
export function instant(t, step) {
  const d = new Date(t);
  const clock = two(d.getHours()) + ":" + two(d.getMinutes()) + (step < MINUTE ? ":" + two(d.getSeconds()) : "");
  return new Date().toDateString() === d.toDateString() ? clock : day(d) + " " + clock;
}

/**
 * A span in one unit, as one would say it: "12 s", "4 min", "3 h", "9 d".
 * @param {number} ms
 */
export function span(ms) {
  const a = Math.max(0, ms);
  if (a < 90 * SECOND) return Math.round(a / SECOND) + " s";
  if (a < 90 * MINUTE) return Math.round(a / MINUTE) + " min";
  if (a < 36 * HOUR) return Math.round(a / HOUR) + " h";
  return Math.round(a / DAY) + " d";
}
