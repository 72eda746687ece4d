// Comfort only: every page works without this file.
"use strict";

// Copy buttons are there only where they can work.
function revealCopyButtons(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
}

// A button copies the text that it names, or the field whose id it names.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button || button.dataset.told) return;
  const field = document.getElementById(button.dataset.from);
  const before = button.textContent;
  button.dataset.told = "yes";
  try {
    await navigator.clipboard.writeText(field ? field.value : button.dataset.copy);
    button.textContent = "✓";
  } catch {
    button.textContent = "✕";
    field?.select();
  }
  setTimeout(() => {
    button.textContent = before;
    delete button.dataset.told;
  }, 1200);
});

// A double click sends a form once. (The server books it once in any case.) A while later it may be sent again: the answer may have been
// stopped, or been a file, so that the page is still there.
const SENDING_MS = 4000;
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  setTimeout(() => { delete form.dataset.sent; }, SENDING_MS);
});

// A page that comes back from the browser's memory may be sent again, and must not show a secret again.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  if (document.querySelector("[data-secret]")) location.reload();
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// `/` searches, `g` and a letter moves, Esc leaves what has the focus.
let going = false;
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    document.activeElement?.blur();
    for (const open of document.querySelectorAll("details[open].menu")) open.open = false;
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (event.key === "/") {
    const search = document.querySelector("input[name=q]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
    return;
  }
  if (going) {
    going = false;
    const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (link) link.click();
  } else if (event.key === "g") {
    going = true;
    setTimeout(() => { going = false; }, 1500);
  }
});

// A table that is no wider than the page needs no window of its own: its headings stick to the page.
function fit(scroll) {
  const table = scroll.querySelector("table");
  scroll.classList.toggle("fits", table.offsetWidth <= scroll.offsetWidth);
}
const widths = new ResizeObserver((changes) => requestAnimationFrame(() => {
  for (const { target } of changes) fit(target.closest(".scroll"));
}));
function measureTables(root) {
  for (const scroll of root.querySelectorAll(".scroll")) {
    fit(scroll);
    widths.observe(scroll);
    widths.observe(scroll.querySelector("table"));
  }
}

// What renews itself stands still while somebody reads in it (a table is open, a text is marked, the keyboard is there) or cannot see it.
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = event.target.closest("[data-live]");
  if (!live) return;
  const chosen = getSelection();
  const isReading = live.querySelector("details[open]") || live.contains(document.activeElement)
    || (!chosen.isCollapsed && live.contains(chosen.anchorNode));
  if (document.hidden || isReading) event.preventDefault();
  if (isReading && !document.hidden) fallBehind(live, "halted");
});

// When it stands still, or the server is not heard, it says since when, and each figure that it is old. What comes next takes the figures'
// marks with it; that there was no answer is said until there is one.
function fallBehind(live, why) {
  const note = document.querySelector("[data-behind-note]");
  const words = document.querySelector(`template[data-behind="${why}"]`);
  const said = note.dataset.said;
  if (said === why || said === "failed") return;
  note.dataset.said = why;
  note.replaceChildren(words.content.cloneNode(true));
  const asOf = live.querySelector("[data-as-of] time");
  if (asOf) note.querySelector("[data-since]").append(asOf.cloneNode(true));
  if (said) return;
  live.classList.add("behind");
  const old = document.querySelector("template[data-behind=figure]");
  for (const figure of live.querySelectorAll(".figures > div > dt")) figure.append(old.content.cloneNode(true));
}

document.addEventListener("htmx:afterSwap", (event) => {
  if (!event.target.matches("[data-live]")) return;
  event.target.classList.remove("behind");
  const note = document.querySelector("[data-behind-note]");
  delete note.dataset.said;
  note.replaceChildren();
});

for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => {
    // The session has ended: the page itself leads to signing in.
    if (event.detail.xhr?.status === 401) location.reload();
    else if (event.target.matches("[data-live]")) fallBehind(event.target, "failed");
  });
}

function prepare(root) {
  revealCopyButtons(root);
  measureTables(root);
}
document.addEventListener("htmx:load", (event) => prepare(event.target));
prepare(document);
