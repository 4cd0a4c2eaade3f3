// Keys of the page: one letter, no modifiers, never while somebody types. "?" lists them.

/** @type {Map<string, { what: string, run: (ev: KeyboardEvent) => void }>} */
const keys = new Map();
let leader = "";

/**
 * Gives a key, or two typed after each other ("g n"), a meaning.
 * @param {string} key as in KeyboardEvent.key
 * @param {string} what shown in the help
 * @param {(ev: KeyboardEvent) => void} run
 */
export function onKey(key, what, run) {
  keys.set(key, { what, run });
}

/** @param {EventTarget | null} el */
export function typing(el) {
  return el instanceof HTMLElement && (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName)) && !(el instanceof HTMLInputElement && /^(checkbox|radio|button|submit)$/.test(el.type));
}

/** @param {KeyboardEvent} ev */
function handle(ev) {
  if (ev.ctrlKey || ev.metaKey || ev.altKey || ev.isComposing || typing(ev.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const full = leader ? leader + " " + ev.key : ev.key;
  leader = "";
  const hit = keys.get(full);
  if (hit) {
    ev.preventDefault();
    hit.run(ev);
  } else if ([...keys.keys()].some((k) => k.startsWith(ev.key + " "))) {
    leader = ev.key;
    setTimeout(() => { leader = ""; }, 1200);
  }
}

function showHelp() {
  const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById("help"));
  const list = dialog?.querySelector("dl");
  if (!dialog || !list) return;
  list.replaceChildren(...[...keys].flatMap(([key, { what }]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    for (const k of key.split(" ")) {
      const kbd = document.createElement("kbd");
      kbd.textContent = k;
      dt.append(kbd, " ");
    }
    dd.textContent = what;
    return [dt, dd];
  }));
  dialog.showModal();
}

/** Starts listening. */
export function startKeys() {
  document.addEventListener("keydown", handle);
  onKey("?", "these keys", showHelp);
}
