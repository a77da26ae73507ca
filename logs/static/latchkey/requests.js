"use strict";

// A range of the histogram: dragged over the bars, or set by two sliders.
document.addEventListener("DOMContentLoaded", () => {
  const histogram = document.querySelector(".latchkey-histogram");
  if (!histogram) return;
  const bars = [...histogram.querySelectorAll("[data-bar]")];
  const spans = [...histogram.querySelectorAll("tr[data-from]")].map((row) => row.dataset);
  const [from, until] = histogram.querySelectorAll("[data-range]");
  const show = histogram.querySelector("[data-shows-range]");
  const said = histogram.querySelector("[data-range-said]");
  if (!bars.length) return;
  for (const slider of [from, until]) slider.max = bars.length - 1;
  until.value = until.max;
  histogram.querySelector(".latchkey-histogram-range").hidden = false;

  const choose = (one, other) => {
    const [first, last] = one <= other ? [one, other] : [other, one];
    from.value = first;
    until.value = last;
    bars.forEach((bar, place) => bar.classList.toggle("latchkey-chosen", place >= first && place <= last));
    from.setAttribute("aria-valuetext", `${spans[first].from} UTC`);
    until.setAttribute("aria-valuetext", `${spans[last].until} UTC`);
    said.textContent = `${spans[first].from} to ${spans[last].until} UTC`;
    show.disabled = false;
  };
  const go = () => {
    const query = new URLSearchParams(histogram.dataset.base);
    const [day, time] = spans[from.value].from.split(" ");
    const [lastDay, lastTime] = spans[until.value].until.split(" ");
    query.set("at_from_0", day);
    query.set("at_from_1", time);
    query.set("at_to_0", lastDay);
    query.set("at_to_1", lastTime);
    location.search = query;
  };

  let began = null;
  const barAt = (event) => {
    const { left, width } = histogram.querySelector(".latchkey-histogram-bars").getBoundingClientRect();
    const place = Math.floor(((event.clientX - left) / width) * bars.length);
    return Math.min(Math.max(place, 0), bars.length - 1);
  };
  const box = histogram.querySelector(".latchkey-histogram-bars");
  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    began = barAt(event);
    box.setPointerCapture(event.pointerId);
    choose(began, began);
  });
  box.addEventListener("pointermove", (event) => { if (began !== null) choose(began, barAt(event)); });
  box.addEventListener("pointercancel", () => { began = null; });
  box.addEventListener("pointerup", (event) => {
    if (began === null) return;
    choose(began, barAt(event));
    began = null;
    go();
  });
  for (const slider of [from, until]) {
    slider.addEventListener("input", () => choose(Number(from.value), Number(until.value)));
    slider.addEventListener("keydown", (event) => { if (event.key === "Enter" && !show.disabled) go(); });
  }
  show.addEventListener("click", go);
});

// The live tail: new rows come on top while the page is seen, until it is paused.
document.addEventListener("DOMContentLoaded", () => {
  const POLL_MILLISECONDS = 2000;
  const MAX_ROWS = 200;
  const button = document.querySelector("[data-tail]");
  if (!button) return;
  const said = document.querySelector("[data-tail-said]");
  const address = new URL(button.dataset.tail, location.href);
  let tag = "";
  let total = 0;
  let timer = null;
  let isAsking = false;
  button.hidden = false;

  const idOf = (row) => row.querySelector("a[href*='/requestlog/']")?.getAttribute("href").match(/requestlog\/([0-9a-f-]{36})\//)?.[1] || "";
  const isOn = () => button.getAttribute("aria-pressed") === "true";

  const stop = (text) => {
    clearTimeout(timer);
    timer = null;
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Live tail";
    said.textContent = text;
  };

  const add = (page) => {
    const table = document.getElementById("result_list");
    if (!table) {
      // The list was empty, and has no table yet.
      if (page.querySelector("#result_list")) location.reload();
      return 0;
    }
    const known = new Set([...table.tBodies].map(idOf));
    const fresh = [...page.querySelectorAll("#result_list > tbody")].filter((row) => !known.has(idOf(row)));
    for (const row of fresh) {
      row.classList.add("latchkey-new");
      // Mostly the first; one that took long belongs further down.
      const next = [...table.tBodies].find((other) => idOf(other) < idOf(row));
      table.insertBefore(row, next || null);
    }
    while (table.tBodies.length > MAX_ROWS) table.tBodies[table.tBodies.length - 1].remove();
    const newest = idOf(table.tBodies[0]);
    address.pathname = address.pathname.replace(/[0-9a-f-]{36}\/$/, `${newest}/`);
    return fresh.length;
  };

  const ask = async () => {
    timer = null;
    if (!isOn() || document.hidden || isAsking) return;
    isAsking = true;
    try {
      address.searchParams.set("tag", tag);
      const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "manual" });
      if (answer.status === 200) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (!isOn()) return;
        tag = page.querySelector("[data-tail-tag]").dataset.tailTag;
        const number = add(page);
        total += number;
        if (number) said.textContent = `${number} new request${number === 1 ? "" : "s"}, ${total} since the tail began`;
      } else if (answer.status !== 204) {
        stop(answer.status >= 500 ? "The server is busy. Start the tail again in a moment." : "You are no longer logged in, or may not see this. Load the page again.");
      }
    } catch {
      stop("The server cannot be reached. Start the tail again in a moment.");
    } finally {
      isAsking = false;
    }
    if (isOn() && timer === null) timer = setTimeout(ask, POLL_MILLISECONDS);
  };

  button.addEventListener("click", () => {
    if (isOn()) {
      stop(`Paused after ${total} new request${total === 1 ? "" : "s"}.`);
      return;
    }
    button.setAttribute("aria-pressed", "true");
    button.textContent = "Pause";
    said.textContent = "Waiting for new requests.";
    ask();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && isOn() && timer === null) ask();
  });
});

// Copies the command that repeats a request; where that is not possible its page is opened.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-copies-from]");
  if (!link || !navigator.clipboard || !window.isSecureContext || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  try {
    const answer = await fetch(link.dataset.copiesFrom, { redirect: "error" });
    if (!answer.ok) throw new Error(answer.statusText);
    await navigator.clipboard.writeText(await answer.text());
    const before = link.textContent;
    link.textContent = "Copied";
    setTimeout(() => { link.textContent = before; }, 2500);
  } catch {
    location.assign(link.href);
  }
});
