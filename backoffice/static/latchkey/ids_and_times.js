"use strict";

// A button beside each id copies it; times tell the local time to whoever points at one.
{
  const ID = /^(?:[0-9A-Za-z]{12}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
  const PAGE = /\/admin\/\w+\/\w+\/([^/]+)\/change\/$/;
  const SHOWN_FOR = 2000;

  // Without the permission to write to the clipboard what is selected can be copied, by the button or
  // by hand.
  const copied = async (text, source) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      getSelection().selectAllChildren(source);
      return document.execCommand("copy");
    }
  };

  const addButton = (source, place, id = source.textContent.trim()) => {
    if (!ID.test(id)) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "latchkey-copy";
    button.setAttribute("aria-label", `Copy ${id}`);
    button.title = "Copy";
    button.addEventListener("click", async () => {
      const done = await copied(id, source);
      button.dataset.done = done ? "yes" : "no";
      button.setAttribute("aria-label", done ? "Copied" : "Selected: copy it by hand");
      setTimeout(() => {
        delete button.dataset.done;
        button.setAttribute("aria-label", `Copy ${id}`);
      }, SHOWN_FOR);
    });
    place.after(button);
  };

  document.addEventListener("DOMContentLoaded", () => {
    // An id within a link has its button behind the link: a button in a link is none.
    for (const source of document.querySelectorAll("#result_list .field-named p, .latchkey-id")) {
      addButton(source, source.closest("a") || source);
    }
    const title = document.querySelector("#header-inner h1");
    const page = PAGE.exec(location.pathname);
    if (!title || !page || !ID.test(page[1])) return;
    // Some rows are named by their id.
    if (title.textContent.includes(page[1])) return addButton(title, title, page[1]);
    const shown = document.createElement("code");
    shown.className = "latchkey-page-id";
    shown.textContent = page[1];
    title.after(shown);
    addButton(shown, shown);
  });

  document.addEventListener("pointerover", (event) => {
    const time = event.target.closest?.("time[datetime]");
    if (!time || time.title) return;
    const local = new Date(time.dateTime).toLocaleString([], { dateStyle: "medium", timeStyle: "long" });
    time.title = `${time.dateTime.slice(0, 19).replace("T", " ")} UTC\n${local}`;
  });
}
