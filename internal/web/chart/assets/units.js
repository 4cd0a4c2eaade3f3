/**
 * Numbers for people: what unit a value is shown in, with how many digits, and where an axis ends.
 *
 * The units a panel may have are those the server hands over: "share" (0 to 1, shown in percent), "By", "By/s",
 * "bit/s", "s", "Hz", "Cel" and any other text, which is shown as it is.
 */

/** @typedef {{ text: string, unit: string }} Shown */
/** @typedef {{ div: number, suffix: string, unit: string, space: boolean }} Scale */

const KIBI = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const KILO = ["", "k", "M", "G", "T", "P"];

/**
 * The power of `base` that leaves `v` between 1 and base, at most `most`.
 * @param {number} v
 * @param {number} base
 * @param {number} most
 */
function power(v, base, most) {
  let n = 0;
  for (let x = Math.abs(v); x >= base * 0.9995 && n < most; x /= base) n++;
  return n;
}

/**
 * How values as big as `top` are shown.
 * @param {string} unit
 * @param {number} top
 * @returns {Scale}
 */
export function scaleOf(unit, top) {
  const v = Math.abs(top);
  switch (unit) {
    case "share":
      return { div: 0.01, suffix: "%", unit: "%", space: true };
    case "By": {
      const n = power(v, 1024, KIBI.length - 1);
      return { div: 1024 ** n, suffix: n ? KIBI[n][0] : "", unit: KIBI[n], space: true };
    }
    case "By/s":
    case "bit/s":
    case "Hz": {
      const n = power(v, 1000, KILO.length - 1);
      const name = unit === "By/s" ? "B/s" : unit === "bit/s" ? "b/s" : "Hz";
      return { div: 1000 ** n, suffix: KILO[n], unit: KILO[n] + name, space: true };
    }
    case "s":
      return seconds(v);
    case "Cel":
      return { div: 1, suffix: "°", unit: "°C", space: true };
    default: {
      const n = v >= 10000 ? power(v, 1000, KILO.length - 1) : 0;
      return { div: 1000 ** n, suffix: KILO[n], unit: (KILO[n] + " " + unit).trim(), space: true };
    }
  }
}

/**
 * @param {number} v
 * @returns {Scale}
 */
function seconds(v) {
  const scale = (/** @type {number} */ div, /** @type {string} */ unit) => ({ div, suffix: unit, unit, space: true });
  if (v === 0) return scale(1, "s");
  if (v < 0.001) return scale(1e-6, "µs");
  if (v < 1) return scale(0.001, "ms");
  if (v < 120) return scale(1, "s");
  if (v < 7200) return scale(60, "min");
  if (v < 172800) return scale(3600, "h");
  return scale(86400, "d");
}

/**
 * Three digits that count, none that do not.
 * @param {number} v
 */
export function digits(v) {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a >= 99.95) return v.toFixed(0);
  if (a >= 9.995) return v.toFixed(1);
  if (a >= 0.0995) return v.toFixed(a >= 0.995 ? 1 : 2);
  return a < 0.0005 ? "<0.001" : v.toFixed(3);
}

/**
 * A value for reading, its unit apart.
 * @param {number | null | undefined} v
 * @param {string} unit
 * @returns {Shown}
 */
export function show(v, unit) {
  if (v === null || v === undefined || !Number.isFinite(v)) return { text: "—", unit: "" };
  const s = scaleOf(unit, v);
  const x = v / s.div;
  if (unit === "share") return { text: Math.abs(x) < 9.95 && x !== 0 ? x.toFixed(1) : x.toFixed(0), unit: "%" };
  const whole = (Number.isInteger(v) && s.div === 1 && Math.abs(v) < 10000) || (unit === "By" && Number.isInteger(x));
  return { text: whole ? x.toFixed(0) : digits(x), unit: s.unit };
}

/**
 * A value with its unit, in one text.
 * @param {number | null | undefined} v
 * @param {string} unit
 */
export function text(v, unit) {
  const s = show(v, unit);
  return s.unit ? s.text + " " + s.unit : s.text;
}

/**
 * A value in as few signs as say it, for the legend: "34%", "24.6M", "17.2ms". The unit stands in the chart's head.
 * @param {number} v
 * @param {string} unit
 */
export function brief(v, unit) {
  return show(v, unit).text + scaleOf(unit, v).suffix;
}

/**
 * The label of an axis that ends at `top`.
 * @param {number} v
 * @param {string} unit
 * @param {number} top
 */
export function tick(v, unit, top) {
  if (v === 0) return unit === "share" ? "0%" : "0";
  const s = scaleOf(unit, top);
  const x = v / s.div;
  const t = top / s.div;
  const places = t >= 20 || Number.isInteger(t / 2) || (Number.isInteger(x) && t >= 4) ? 0 : t >= 2 ? 1 : t >= 0.2 ? 2 : 3;
  return x.toFixed(places) + s.suffix;
}

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/**
 * The first round number above `v` in the unit it is shown in, so that the axis reads well.
 * @param {number} v
 * @param {string} unit
 */
export function roundUp(v, unit) {
  if (!(v > 0)) return 1;
  const s = scaleOf(unit, v);
  const x = v / s.div;
  const ten = 10 ** Math.floor(Math.log10(x));
  for (const step of STEPS) if (x <= step * ten * 1.0000001) return step * ten * s.div;
  return 10 * ten * s.div;
}
