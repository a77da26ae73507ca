"use strict";

// Keeps the jobs of a page up to date while one of them is not over: bars, statuses and times. On
// the page of one job, a change of its status or attempt is a new page.
document.addEventListener("DOMContentLoaded", () => {
  const over = ["succeeded", "dead", "cancelled"];
  const bars = [...document.querySelectorAll("[data-job]")];
  const isDialogOpen = () => document.getElementById("dialog")?.offsetParent;

  const show = (bar, job) => {
    const isNew = job.status !== bar.dataset.status || String(job.attempt) !== bar.dataset.attempt;
    if (isNew && "reload" in bar.dataset) {
      if (!isDialogOpen()) location.reload();
      return;
    }
    bar.dataset.status = job.status;
    bar.dataset.attempt = job.attempt;
    bar.querySelector("progress").value = job.percent;
    const place = bar.closest("tr") || bar.closest("section");
    const status = place.querySelector(".latchkey-job-status");
    status.textContent = job.label;
    status.dataset.status = job.status;
    for (const [name, text] of Object.entries(job.texts)) {
      const element = place.querySelector(`[data-live=${name}]`);
      if (element && element.textContent !== text) element.textContent = text;
    }
  };

  const poll = async () => {
    const open = bars.filter((bar) => !over.includes(bar.dataset.status));
    if (!open.length) return;
    if (!document.hidden) {
      try {
        const ids = open.map((bar) => `id=${bar.dataset.job}`).join("&");
        const answer = await fetch(`/admin/jobs/job/watch/?${ids}`);
        const jobs = answer.ok ? await answer.json() : {};
        for (const bar of open) if (jobs[bar.dataset.job]) show(bar, jobs[bar.dataset.job]);
      } catch {
        // The server is away; the next attempt may reach it again.
      }
    }
    setTimeout(poll, 1000);
  };
  poll();
});
