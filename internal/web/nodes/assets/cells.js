// Writes new values into the cells of a row, without moving anything.
import { serverNow } from "../../shell/assets/time.js";

const width = 42, sparkWidth = 72, sparkHeight = 18, points = 30;

/** @param {Element} tr @param {string} cell @param {number | null | undefined} percent -1 is not known, null and undefined as before */
function meter(tr, cell, percent) {
  if (percent == null) return;
  const m = tr.querySelector("td." + cell + " .meter");
  const text = m?.querySelector("b");
  if (!m || !text) return;
  m.classList.toggle("na", percent < 0);
  text.textContent = percent < 0 ? "—" : percent + "%";
  m.querySelector(".fill")?.setAttribute("width", String(Math.max(0, percent) / 100 * width));
}

/** @param {Element} tr @param {number} value in Mb/s */
function spark(tr, value) {
  const td = /** @type {HTMLElement | null} */ (tr.querySelector("td.net"));
  const svg = td?.querySelector("svg");
  if (!td || !svg) return;
  let path = svg.querySelector("path");
  if (!path) {
    path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.append(path);
  }
  // The line is its own memory: what was drawn, scaled back by the peak it was drawn with.
  const peak = Number(td.dataset.p) || 1;
  const past = [...(path.getAttribute("d") ?? "").matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((m) => (sparkHeight - 1.5 - Number(m[1])) / (sparkHeight - 3) * peak);
  const values = [...past, value].slice(-points);
  const top = Math.max(...values) || 1;
  td.dataset.p = String(top);
  const step = sparkWidth / Math.max(1, values.length - 1);
  path.setAttribute("d", values.map((v, i) => (i ? "L" : "M") + (i * step).toFixed(1) + " " + (sparkHeight - 1.5 - v / top * (sparkHeight - 3)).toFixed(1)).join(""));
}

/**
 * @param {Element} tr
 * @param {(number | null)[]} change cpu, memory, disk in percent, in, out in Mb/s
 * @param {boolean} fresh whether a frame came; the first event of a stream only brings a row up to date
 */
export function write(tr, [cpu, mem, disk, into, out], fresh) {
  meter(tr, "cpu", cpu);
  meter(tr, "mem", mem);
  meter(tr, "dsk", disk);
  const io = tr.querySelectorAll("td.io span");
  [into, out].forEach((v, i) => { if (v != null && io[i]) io[i].textContent = v < 0 ? "—" : v.toFixed(1); });
  if (!fresh) return;
  spark(tr, Number(io[0]?.textContent) + Number(io[1]?.textContent) || 0);
  const seen = /** @type {HTMLTimeElement | null} */ (tr.querySelector("td.sn time"));
  if (seen) {
    seen.dateTime = new Date(serverNow()).toISOString();
    seen.textContent = "0 s";
  }
}
