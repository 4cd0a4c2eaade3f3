// A result as a picture, made by the server of what the API gave; and lines that can be copied.
import { Problem, csrf } from "../../shell/assets/api.js";
import { tick } from "../../shell/assets/time.js";

/** @param {unknown} e */
export const words = (e) => (e instanceof Error ? e.message : String(e));

/**
 * Shows a result of the API in a box.
 * @param {HTMLElement} box
 * @param {unknown} result
 * @param {string} title
 * @param {string} note
 */
export async function picture(box, result, title, note) {
  const res = await fetch("/checks/shown", { method: "POST", body: JSON.stringify(result), headers: { "content-type": "application/json", "x-muster-csrf": csrf(), "x-muster-part": "1" } });
  const html = await res.text();
  if (!res.ok) throw new Problem(res.status, html.trim());
  const header = document.createElement("header"), h2 = document.createElement("h2"), span = document.createElement("span");
  h2.textContent = title;
  span.textContent = note;
  header.append(h2, span);
  const panel = box.matches(".panel") ? box : document.createElement("section");
  panel.className = "panel box";
  panel.innerHTML = html;
  panel.prepend(header);
  if (panel !== box) box.replaceChildren(panel);
  tick(panel);
}

/** @param {HTMLElement} box with a line of code and a button */
export function copyable(box) {
  const code = box.querySelector("code"), button = box.querySelector("button");
  if (!code || !button) return;
  button.hidden = false;
  button.onclick = async () => {
    getSelection()?.selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent ?? "");
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C"; // no clipboard without https: it is selected
    }
  };
}
