// Comfort only: every page works without this file.
"use strict";

// Copy buttons are there only where they can work.
function revealCopyButtons(root) {
  for (const button of root.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const before = button.textContent;
  button.textContent = "✓";
  setTimeout(() => { button.textContent = before; }, 1200);
});

// A double click sends a form once. (The server books it once in any case.)
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
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

// What renews itself stands still while somebody reads in it (a table is open, a text is marked, the keyboard is there) or cannot see it.
document.addEventListener("htmx:beforeRequest", (event) => {
  const live = event.target.closest("[data-live]");
  if (!live) return;
  const chosen = getSelection();
  const isReading = live.querySelector("details[open]") || live.contains(document.activeElement)
    || (!chosen.isCollapsed && live.contains(chosen.anchorNode));
  if (document.hidden || isReading) event.preventDefault();
});

// The session has ended: the page itself leads to signing in.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) location.reload();
});

document.addEventListener("htmx:load", (event) => revealCopyButtons(event.target));
revealCopyButtons(document);
