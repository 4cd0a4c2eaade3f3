/** The head of a node's pages: the star, and the state as it changes. */

import { Problem, csrf, toast } from "../../shell/assets/api.js";
import { onKey } from "../../shell/assets/keys.js";

const button = /** @type {HTMLButtonElement | null} */ (document.getElementById("star"));
const head = /** @type {HTMLElement | null} */ (document.getElementById("head"));

/** The node's id, and when it was first known (Unix ms). */
export const node = { id: head?.dataset.node ?? "", birth: Number(head?.dataset.birth ?? 0) };

/** @param {boolean} on */
function paint(on) {
  if (!button) return;
  button.setAttribute("aria-pressed", String(on));
  button.textContent = on ? "★" : "☆";
  button.value = on ? "0" : "1";
}

async function star() {
  if (!button) return;
  const on = button.value === "1";
  paint(on);
  try {
    const res = await fetch("/nodes/" + node.id + "/star", { method: "POST", headers: { "x-muster-csrf": csrf(), "x-muster-part": "1" }, body: new URLSearchParams({ star: on ? "1" : "0" }) });
    if (!res.ok) throw new Problem(res.status, await res.text());
  } catch (e) {
    paint(!on);
    toast("The star was not kept: " + (e instanceof Error ? e.message : e));
  }
}

button?.form?.addEventListener("submit", (ev) => {
  ev.preventDefault();
  star();
});
if (button) onKey("s", "star this node", star);

/**
 * Shows the node's state as the stream tells it.
 * @param {{ state: string, html: string, mark: string }} d
 */
export function onHead(d) {
  const box = document.getElementById("state");
  if (box) box.innerHTML = d.html;
  const mark = document.getElementById("state-mark");
  if (mark) mark.innerHTML = d.mark;
}

/**
 * Keeps the time of the newest measurement.
 * @param {number} at Unix ms
 */
export function onSeen(at) {
  const time = /** @type {HTMLTimeElement | null} */ (document.querySelector("#seen time"));
  if (time && at > Date.parse(time.dateTime)) time.dateTime = new Date(at).toISOString();
}
