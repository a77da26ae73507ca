"use strict";

// The one search. Whatever has the form of a credential is cut to its key id before it is sent, here
// and from the search field of every list: a secret in an address would stay in histories and logs.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("search");
  if (!form) return;
  const field = form.querySelector("input");
  const list = document.getElementById("search-found");
  const status = form.querySelector("[role=status]");
  const credential = new RegExp(form.dataset.credential);
  const DELAY = 150;
  const MIN_LENGTH = 2;
  const cut = (text) => {
    const match = credential.exec(text);
    return match ? match[1] : text;
  };
  const cutField = (input) => {
    const text = cut(input.value);
    if (text !== input.value) input.value = text;
  };

  // What was pasted or dropped is cut at once, before any other script sees it; what is being typed
  // stays, and is cut where it is sent.
  document.addEventListener("input", (event) => {
    const isTyped = event.inputType === "insertText" && event.data?.length === 1;
    if (isTyped || !event.target.matches("[role=search] input, input[type=search]")) return;
    cutField(event.target);
  }, true);
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[role=search]")) event.target.querySelectorAll("input").forEach(cutField);
  }, true);

  let timer = 0;
  let request = null;
  let shown = "";
  const options = () => [...list.querySelectorAll("a")];
  const close = () => {
    clearTimeout(timer);
    request?.abort();
    list.hidden = true;
    shown = "";
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };
  const select = (option) => {
    for (const one of options()) one.setAttribute("aria-selected", one === option);
    if (!option) return field.removeAttribute("aria-activedescendant");
    field.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const show = (text) => {
    const isFound = options().length;
    const found = list.querySelectorAll("a:not([data-all])").length;
    options().forEach((option, number) => {
      option.id = `search-found-${number}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.tabIndex = -1;
    });
    // A list box holds options only: what says that there are none is a text.
    list.setAttribute("role", isFound ? "listbox" : "note");
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    status.textContent = isFound ? `${found} found` : `Nothing found for ${text}`;
  };
  const look = async () => {
    const text = cut(field.value).trim();
    if (text === shown) return;
    if (text.length < MIN_LENGTH) return close();
    request?.abort();
    request = new AbortController();
    try {
      const answer = await fetch(`${form.action}?part=1&q=${encodeURIComponent(text)}`, { signal: request.signal });
      const isAnswer = answer.ok && !answer.redirected;
      list.innerHTML = isAnswer ? await answer.text() : "";
      if (!isAnswer) list.textContent = answer.redirected ? "You are no longer logged in. Load the page again." : "The search did not answer. Press Enter to try again.";
      shown = isAnswer ? text : "";
      if (document.activeElement === field) show(text);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };

  field.setAttribute("role", "combobox");
  field.setAttribute("aria-expanded", "false");
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-autocomplete", "list");
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, DELAY);
  });
  field.addEventListener("focus", () => {
    field.select();
    if (document.activeElement === field && field.value !== field.defaultValue) look();
  });
  form.addEventListener("focusout", (event) => {
    if (!form.contains(event.relatedTarget)) close();
  });
  // A click on a result must not first take the focus, and so close the list.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (list.hidden) field.blur();
      close();
      event.preventDefault();
      return;
    }
    const all = options();
    const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "Enter" && at >= 0 && !list.hidden) {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey) window.open(all[at].href);
      else location.href = all[at].href;
    } else if (["ArrowDown", "ArrowUp"].includes(event.key) && all.length && !list.hidden) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      select(all[(at + step + (at < 0 && step < 0 ? 1 : 0) + all.length) % all.length]);
    }
  });
  form.addEventListener("submit", (event) => {
    if (!field.value.trim()) event.preventDefault();
  });

  // An id that is pasted where nothing takes it is looked for.
  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea, select, [contenteditable], dialog, [role=dialog]")) return;
    const text = cut(event.clipboardData?.getData("text").trim() ?? "");
    if (text.length < MIN_LENGTH || text.length > field.maxLength || text.includes("\n")) return;
    event.preventDefault();
    field.focus();
    field.value = text;
    look();
  });

  // Ctrl+K everywhere; / where no list has a search of its own, which takes it.
  document.addEventListener("keydown", (event) => {
    const isCommand = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey;
    const isSlash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey;
    const isTyping = event.target.matches?.("input, textarea, select, [contenteditable]");
    if (!isCommand && (!isSlash || isTyping || document.getElementById("searchbar"))) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
});
