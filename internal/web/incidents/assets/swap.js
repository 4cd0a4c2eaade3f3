// Puts newer HTML in the place of older without taking anything out of somebody's hands.
import { tick } from "../../shell/assets/time.js";

const secondForm = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/**
 * Writes the times below root in the viewer's zone.
 * @param {ParentNode} root
 */
export function times(root) {
  tick(root);
  for (const el of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[data-second]"))) {
    el.textContent = secondForm.format(new Date(el.dateTime));
  }
}

/** What was last put into a box, as it came. @type {WeakMap<Element, string>} */
const put = new WeakMap();

/**
 * Replaces what a box holds, when it is another. What had the focus has it again, menus stay open, and a field that
 * somebody types in stops the replacement.
 * @param {HTMLElement} box
 * @param {string} html
 */
export function swap(box, html) {
  if (put.get(box) === html || box.querySelector("input:focus:not([type=hidden]), textarea:focus")) return;
  put.set(box, html);
  const focus = box.contains(document.activeElement) ? document.activeElement?.id : "";
  const open = [...box.querySelectorAll("details[open]")].map((d) => d.id);
  box.innerHTML = html;
  times(box);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

/**
 * Makes a function that runs ask, one run at a time; what comes meanwhile makes one more.
 * @param {() => Promise<void>} ask
 * @returns {() => Promise<void>}
 */
export function once(ask) {
  let busy = false, again = false;
  return async function run() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      await ask();
    } catch { /* the next change asks again */ } finally {
      busy = false;
      if (again) { again = false; setTimeout(run, 300); }
    }
  };
}
