"use strict";

// Copies a credential, and clears it from the page when the page is left, so that neither the
// back button nor a snapshot brings it back.
{
  const copied = async (text) => {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return true;
    }
    // Plain HTTP on an address other than this machine: the older way.
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.querySelector("[data-copy-label]");
    const before = label.textContent;
    const source = document.getElementById(button.dataset.copy);
    let done = false;
    try {
      done = await copied(source.textContent);
    } catch {
      done = false;
    }
    label.textContent = done ? "Copied" : "Select and copy it by hand";
    if (!done) getSelection().selectAllChildren(source);
    setTimeout(() => { label.textContent = before; }, 2500);
  });

  addEventListener("pagehide", () => {
    for (const secret of document.querySelectorAll("[data-secret]")) {
      secret.textContent = "No longer shown";
    }
    for (const button of document.querySelectorAll("[data-copy]")) button.remove();
  });
}

// Says in a dialog why nothing came of it, and keeps what was typed.
{
  const OLD_PAGE = "The page is too old or your account may not do this, so nothing was changed. Load the page again.";
  const LOGGED_OUT = "You are no longer logged in, so nothing was changed. Load the page again to log in.";
  const FAILED = "The server could not do this, so nothing was changed. Wait a moment and try again.";
  const UNREACHABLE = "The server did not answer. Load the page again to see whether anything was changed.";

  const say = (event, text) => {
    const notice = document.createElement("div");
    notice.className = "latchkey-notice latchkey-notice-error";
    notice.setAttribute("role", "alert");
    notice.textContent = text;
    const { elt } = event.detail;
    if (elt.closest("#dialog")) {
      const form = document.getElementById("dialog-form");
      for (const before of form.querySelectorAll(":scope > .latchkey-notice-error")) before.remove();
      form.prepend(notice);
    } else {
      document.getElementById("modal-content").replaceChildren(notice);
      elt.dispatchEvent(new CustomEvent("htmx:after-on-load"));
    }
  };

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!new URL(event.detail.xhr.responseURL).pathname.endsWith("/login/")) return;
    event.detail.shouldSwap = false;
    say(event, LOGGED_OUT);
  });
  document.addEventListener("htmx:responseError", (event) => {
    say(event, event.detail.xhr.status === 403 ? OLD_PAGE : FAILED);
  });
  document.addEventListener("htmx:sendError", (event) => say(event, UNREACHABLE));
}

// Finds customers of the environment that the form has chosen.
document.addEventListener("DOMContentLoaded", () => {
  const select = document.querySelector(".customers-widget");
  if (!select || !window.django || !django.jQuery.fn.select2) return;
  const $ = django.jQuery;
  const environment = document.querySelector("[name=environment]");
  $(select).select2({
    theme: "admin-autocomplete",
    width: "100%",
    ajax: {
      url: select.dataset.ajaxUrl,
      data: (params) => ({
        term: params.term,
        page: params.page,
        app_label: select.dataset.appLabel,
        model_name: select.dataset.modelName,
        field_name: select.dataset.fieldName,
        environment: environment ? environment.value : select.dataset.environment,
      }),
    },
  });
  if (environment) {
    environment.addEventListener("change", () => $(select).val(null).trigger("change"));
  }
});

// Keeps jobs' bars and statuses up to date while one of them is not over.
document.addEventListener("DOMContentLoaded", () => {
  if (!document.querySelector("[data-job]")) return;
  const over = ["succeeded", "dead", "cancelled"];
  const show = (bar, job) => {
    bar.dataset.status = job.status;
    bar.querySelector("progress").value = job.percent;
    bar.querySelector("small").textContent = job.text;
    const status = (bar.closest("tr") || bar.closest("section")).querySelector(".latchkey-job-status");
    status.textContent = job.label;
    status.dataset.status = job.status;
    if (job.is_over && "reload" in bar.dataset) location.reload();
  };
  const look = async () => {
    const bars = [...document.querySelectorAll("[data-job]")].filter((bar) => !over.includes(bar.dataset.status));
    if (!bars.length) return;
    try {
      const ids = bars.map((bar) => `id=${bar.dataset.job}`).join("&");
      const answer = await fetch(`/admin/jobs/job/watch/?${ids}`);
      const jobs = answer.ok ? await answer.json() : {};
      for (const bar of bars) if (jobs[bar.dataset.job]) show(bar, jobs[bar.dataset.job]);
    } catch {
      // The server is away; the next look may find it again.
    }
    setTimeout(look, 1000);
  };
  look();
});
