"use strict";

// Selects all keys of a page of the review queue, and says how many are selected.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form[data-selection]");
  const all = form?.querySelector("[data-select-all]");
  if (!all) return;
  const boxes = [...form.querySelectorAll("input[name=key]")];
  const told = form.querySelector("[data-selected]");
  const hint = told.textContent;

  // Of a finding with several pages: all of its keys, whatever is selected here.
  const whole = form.querySelector("input[name=all]");

  const show = () => {
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
    told.textContent = count ? `${count} selected` : hint;
    if (whole?.checked) told.textContent = `${whole.parentElement.textContent.trim()}: selected`;
    for (const box of [all, ...boxes]) box.disabled = Boolean(whole?.checked);
  };

  all.parentElement.hidden = false;
  all.addEventListener("change", () => {
    whole?.addEventListener("change", show);
  for (const box of boxes) box.checked = all.checked;
    show();
  });
  whole?.addEventListener("change", show);
  for (const box of boxes) box.addEventListener("change", show);
  // The browser may bring back what was selected, also when the page is shown from its memory.
  addEventListener("pageshow", show);
});
