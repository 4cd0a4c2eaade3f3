/** What a chart shows beside its lines: the limits of alarms, and the times in which they fired. */

import { colours } from "./theme.js";

/** @typedef {"critical" | "warning"} Level */
/**
 * Limits are values in the panel's unit. Spans are in Unix ms; one without an end goes on.
 * @typedef {{ limits: { v: number, level: Level }[], spans: { from: number, to?: number, level: Level }[] }} Marks
 */
/** @typedef {import("../../shell/assets/vendor/uplot")} Plot */

/** @returns {Marks} */
export function noMarks() {
  return { limits: [], spans: [] };
}

/** @param {Level} level */
function ink(level) {
  return level === "critical" ? colours().crit : colours().warn;
}

/**
 * Shades the times in which an alarm fired, below everything else.
 * @param {Plot} u
 * @param {Marks} marks
 */
export function under(u, marks) {
  const { ctx, bbox } = u;
  const at = (/** @type {number} */ ms) => Math.min(Math.max(u.valToPos(ms / 1000, "x", true), bbox.left), bbox.left + bbox.width);
  ctx.save();
  for (const s of marks.spans) {
    const from = at(s.from), to = s.to ? at(s.to) : bbox.left + bbox.width;
    if (to <= bbox.left || from >= bbox.left + bbox.width) continue;
    ctx.fillStyle = s.level === "critical" ? colours().critSoft : colours().warnSoft;
    ctx.fillRect(from, bbox.top, Math.max(to - from, devicePixelRatio), bbox.height);
    if (from > bbox.left) rule(ctx, ink(s.level), [2, 2], from, bbox.top, from, bbox.top + bbox.height);
  }
  ctx.restore();
}

/**
 * Draws the limits over the lines.
 * @param {Plot} u
 * @param {Marks} marks
 */
export function over(u, marks) {
  const { ctx, bbox } = u;
  ctx.save();
  for (const l of marks.limits) {
    const y = u.valToPos(l.v, "y", true);
    if (y >= bbox.top - 1 && y <= bbox.top + bbox.height + 1) rule(ctx, ink(l.level), [5, 3], bbox.left, y, bbox.left + bbox.width, y);
  }
  ctx.restore();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {number[]} dash
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 */
function rule(ctx, colour, dash, x0, y0, x1, y1) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  ctx.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  ctx.stroke();
}
