// Forms marked data-act are sent without leaving the page; without scripts they are ordinary forms.
import { csrf, toast } from "../../shell/assets/api.js";

/** Heard when something was done: what shows it asks for itself again. */
export const DONE = "muster:done";

document.addEventListener("submit", async (ev) => {
  const form = ev.target;
  if (!(form instanceof HTMLFormElement) || !form.hasAttribute("data-act")) return;
  ev.preventDefault();
  const button = ev.submitter instanceof HTMLButtonElement ? ev.submitter : null;
  const body = new URLSearchParams();
  for (const [k, v] of new FormData(form, button)) body.append(k, String(v));
  if (button) button.disabled = true;
  try {
    const res = await fetch(form.action, { method: "POST", body, headers: { "x-muster-part": "1", "x-muster-csrf": csrf() } });
    if (res.status === 401) { location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search)); return; }
    if (!res.ok) throw new Error((await res.text()).trim() || "The server answered " + res.status + ".");
    if (form.dataset.act === "reset") {
      form.reset();
      form.querySelector("textarea")?.blur();
    }
    form.closest("details")?.removeAttribute("open");
  } catch (e) {
    toast(e instanceof TypeError ? "The server can't be reached. Try again in a moment." : e instanceof Error ? e.message : String(e));
  } finally {
    if (button) button.disabled = false;
    dispatchEvent(new CustomEvent(DONE));
  }
});
