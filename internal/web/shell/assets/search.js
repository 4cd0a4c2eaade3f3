// The search box: a URL, host:port or host name that is typed there is checked from then on; all else finds nodes.
import { Problem, json, leave, onceKey, toast } from "./api.js";

/** What can't be anything but words about nodes is not asked about. @param {string} text */
const maybe = (text) => /[.:/]/.test(text) && !/[\s"'<>]/.test(text);

/**
 * Goes where the text leads, and makes the check it stands for.
 * @param {string} text
 */
async function follow(text) {
  const { href, check } = await json("/search?q=" + encodeURIComponent(text));
  if (!check) {
    location.assign(href);
    return;
  }
  try {
    const made = await json("/v1/checks", { method: "POST", body: check, headers: { "idempotency-key": onceKey() } });
    leave("/checks/" + made.id, made.target + " is checked from now on.", "DELETE /v1/checks/" + made.id);
  } catch (e) {
    if (e instanceof Problem && e.status === 422) location.assign(href); // the form says what is wrong
    else throw e;
  }
}

/** @param {HTMLInputElement} input of the search box */
export function startSearch(input) {
  let busy = false;
  input.form?.addEventListener("submit", async (ev) => {
    const text = input.value.trim();
    if (!maybe(text)) return;
    ev.preventDefault();
    ev.stopImmediatePropagation();
    if (busy) return;
    busy = true;
    input.form?.setAttribute("aria-busy", "true");
    try {
      await follow(text);
    } catch (e) {
      toast(e instanceof Error ? e.message : String(e));
    } finally {
      busy = false;
      input.form?.removeAttribute("aria-busy");
    }
  });
}
