"use strict";

// Shows a service's rules as rows that can be moved, added and removed. What is sent stays the
// text, a rule a line: it is written anew after each change of a row, and never before one.
{
  const PARTS = ["methods", "path", "needs", "cost"];

  // Of a line that is no rule yet each part keeps its place: an empty one is written as -, and
  // those of several words have tabs between them.
  const split = (line) => {
    const words = line.trim().split(/\s+/);
    const isRule = /^\S+\s+(\/\S*|-)\s+\S+(\s+cost=\S*)?$/.test(line.trim());
    const parts = isRule || !line.includes("\t") ? words : line.split("\t");
    const [methods = "", path = "", needs = "", ...rest] =
      parts.map((part) => (part.trim() === "-" ? "" : part.trim()));
    return { methods, path, needs, cost: rest.join(" ").replace(/^cost=/, "") };
  };

  const joined = ({ methods, path, needs, cost }) => {
    const parts = [methods.toUpperCase().split(/[\s,]+/).filter(Boolean).join(","), path, needs];
    const hasCost = cost !== "" && cost !== "1";
    if (!hasCost && parts.every((part) => part === "")) return "";
    if (hasCost) parts.push(`cost=${cost}`);
    return parts.map((part) => part || "-").join(parts.some((part) => /\s/.test(part)) ? "\t" : " ");
  };

  const enhance = (box) => {
    const area = box.querySelector("textarea");
    const pattern = box.querySelector("template").content.firstElementChild;
    const list = document.createElement("ol");
    const status = document.createElement("p");
    status.className = "latchkey-caption";
    status.setAttribute("role", "status");
    const rows = () => [...list.children];
    const part = (row, name) => row.querySelector(`[data-part=${name}]`);

    const number = () => {
      const all = rows();
      all.forEach((row, index) => {
        const title = `Rule ${index + 1}`;
        row.querySelector("[data-move=up]").disabled = index === 0;
        row.querySelector("[data-move=down]").disabled = index === all.length - 1;
        if (row.getAttribute("aria-label") === title) return;
        row.setAttribute("aria-label", title);
        row.querySelector(".latchkey-rule-number").textContent = index + 1;
        for (const button of row.querySelectorAll("button")) {
          button.setAttribute("aria-label", `${button.title}: ${title}`);
        }
      });
    };
    const write = (said) => {
      const lines = rows().map((row) =>
        joined(Object.fromEntries(PARTS.map((name) => [name, part(row, name).value.trim()]))));
      area.value = lines.join("\n");
      if (said === undefined) return;
      number();
      status.textContent = said;
      area.dispatchEvent(new Event("input", { bubbles: true }));
    };
    const make = (line) => {
      const row = pattern.cloneNode(true);
      for (const [name, value] of Object.entries(split(line))) part(row, name).value = value;
      return row;
    };
    const read = () => {
      list.replaceChildren(...area.value.split("\n").filter((line) => line.trim()).map(make));
      number();
    };
    const place = (row) => rows().indexOf(row) + 1;

    const button = (label, press) => {
      const made = document.createElement("button");
      made.type = "button";
      made.className = "latchkey-button";
      made.textContent = label;
      made.addEventListener("click", press);
      return made;
    };
    const add = button("Add a rule", () => {
      list.append(make(""));
      write("Added a rule at the end.");
      part(list.lastElementChild, "methods").focus();
    });
    const toggle = button("", () => {
      if (area.hidden) status.textContent = "";
      else read();
      show(!area.hidden);
      (area.hidden ? toggle : area).focus();
    });
    const show = (asRows) => {
      area.hidden = asRows;
      list.hidden = add.hidden = !asRows;
      toggle.textContent = asRows ? "Edit as text" : "Edit as rows";
    };

    list.addEventListener("input", (event) => {
      if (event.target.dataset.part) write();
    });
    list.addEventListener("click", (event) => {
      const pressed = event.target.closest("button");
      if (!pressed) return;
      const row = pressed.closest("li");
      if ("remove" in pressed.dataset) {
        const at = place(row);
        const next = row.nextElementSibling || row.previousElementSibling;
        row.remove();
        write(`Removed rule ${at}.`);
        (next ? next.querySelector("[data-remove]") : add).focus();
        return;
      }
      if (pressed.dataset.move === "up") row.previousElementSibling.before(row);
      else row.nextElementSibling.after(row);
      write(`Moved to place ${place(row)} of ${rows().length}.`);
      // At either end the button pressed is of no more use.
      (pressed.disabled ? row.querySelector("[data-move]:enabled") : pressed).focus();
    });

    // Dragging takes the pointer for the list: a row that moves would lose it.
    let dragged = null;
    list.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !event.target.closest(".latchkey-rule-handle")) return;
      event.preventDefault();
      dragged = event.target.closest("li");
      dragged.classList.add("latchkey-rule-dragged");
      list.setPointerCapture(event.pointerId);
    });
    list.addEventListener("pointermove", (event) => {
      if (!dragged) return;
      if (event.clientY < 60) scrollBy(0, -20);
      if (event.clientY > innerHeight - 60) scrollBy(0, 20);
      const next = rows().find((row) => {
        const { top, height } = row.getBoundingClientRect();
        return row !== dragged && event.clientY < top + height / 2;
      });
      if (dragged.nextElementSibling !== (next || null)) list.insertBefore(dragged, next || null);
    });
    const drop = () => {
      if (!dragged) return;
      dragged.classList.remove("latchkey-rule-dragged");
      const row = dragged;
      dragged = null;
      write(`Moved to place ${place(row)} of ${rows().length}.`);
    };
    list.addEventListener("pointerup", drop);
    list.addEventListener("pointercancel", drop);

    const actions = document.createElement("div");
    actions.className = "latchkey-actions";
    actions.append(add, toggle);
    box.append(list, actions, status);
    const hadFocus = document.activeElement === area;
    read();
    show(true);

    // After a refusal: the rule that the message names has the keyboard.
    const named = /Rule (\d+):/.exec(document.getElementById("form-errors")?.textContent ?? "");
    const wrong = named && rows()[named[1] - 1];
    if (wrong) {
      for (const name of PARTS) part(wrong, name).setAttribute("aria-invalid", "true");
      if (hadFocus) part(wrong, "methods").focus();
    }
    document.querySelector(`#form-errors a[href="#${area.id}"]`)?.addEventListener("click", (event) => {
      event.preventDefault();
      part(wrong || list.firstElementChild, "methods").focus();
    });

    let isChanged = false;
    area.form.addEventListener("input", () => { isChanged = true; });
    area.form.addEventListener("submit", () => { isChanged = false; });
    addEventListener("beforeunload", (event) => {
      if (isChanged) event.preventDefault();
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll("[data-rules]")) enhance(box);
  });
}
