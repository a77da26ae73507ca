"use strict";

// Names for what the theme's and Django's scripts make without one.
// Theirs run when the page is ready, some of them after this event.
addEventListener("load", () => setTimeout(() => {
  // SimpleBar calls every region alike.
  document.querySelectorAll(".simplebar-content-wrapper").forEach((region, number) => {
    const isMenu = region.closest("#nav-sidebar-apps");
    region.setAttribute("aria-label", isMenu ? "Menu" : `Scrollable content ${number + 1}`);
  });
  // select2's box repeats no label of the field that it stands for.
  for (const box of document.querySelectorAll(".select2-selection")) {
    const field = box.closest(".select2-container").previousElementSibling;
    const label = field && field.labels && field.labels[0];
    if (!label) continue;
    const name = label.textContent.trim();
    box.setAttribute("aria-label", name);
    box.removeAttribute("aria-labelledby");
    const text = box.querySelector("[role=textbox]");
    if (text) text.setAttribute("aria-label", name);
  }
  for (const help of document.querySelectorAll(".help-tooltip[aria-label]")) help.setAttribute("role", "img");
  // What scrolls is reached by the keyboard.
  for (const text of document.querySelectorAll(".latchkey-pre:not([tabindex])")) text.tabIndex = 0;
}));
