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

  // The browser would do it once it has drawn the page, and keys pressed before it went nowhere.
  document.addEventListener("DOMContentLoaded", () => {
    const copy = document.querySelector("[data-copy][autofocus]");
    if (copy) copy.focus();
  });

  // Whoever loses a secret has to make another one, so only an explicit word ends its showing.
  let isConfirmed = false;
  let isSending = false;
  window.showsSecret = () => Boolean(document.querySelector("[data-secret]"));
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-confirms-copy]")) isConfirmed = true;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    isSending = Boolean(event.detail.elt.closest("#dialog"));
  });
  for (const name of ["htmx:beforeOnLoad", "htmx:afterRequest"]) {
    document.addEventListener(name, () => { isSending = false; });
  }
  addEventListener("beforeunload", (event) => {
    if (isSending || (window.showsSecret() && !isConfirmed)) event.preventDefault();
  });

  addEventListener("pagehide", () => {
    for (const secret of document.querySelectorAll("[data-secret]")) {
      secret.textContent = "No longer shown";
    }
    for (const button of document.querySelectorAll("[data-secret-holder] [data-copy]")) button.remove();
  });
}

// A dialog says why nothing came of it and keeps what was typed; it has the keyboard while it is
// open, and gives it back to the button that opened it.
{
  const OLD_PAGE = "The page is too old or your account may not do this, so nothing was changed. Load the page again.";
  const LOGGED_OUT = "You are no longer logged in, so nothing was changed. Load the page again to log in.";
  const NOT_OPENED = "The server could not open this. Wait a moment and try again.";
  const BUSY = "The database is busy or cannot be reached, so this may not have been done. What you typed is kept: wait a moment and send it again.";
  const UNKNOWN = "The server did not say whether this was done. Load the page again and look.";

  const say = (event, text) => {
    const notice = document.createElement("div");
    notice.className = "latchkey-notice latchkey-notice-error";
    notice.setAttribute("role", "alert");
    notice.textContent = text;
    const { elt } = event.detail;
    const form = elt.closest("#dialog") ? document.getElementById("dialog-form") : elt.matches("form") && elt;
    if (form) {
      for (const before of form.querySelectorAll(":scope > .latchkey-notice-error")) before.remove();
      form.prepend(notice);
    } else {
      document.getElementById("modal-content").replaceChildren(notice);
      elt.dispatchEvent(new CustomEvent("htmx:after-on-load"));
    }
  };
  const failed = (event) => say(event, event.detail.elt.closest("#dialog") ? UNKNOWN : NOT_OPENED);

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!new URL(event.detail.xhr.responseURL).pathname.endsWith("/login/")) return;
    event.detail.shouldSwap = false;
    say(event, LOGGED_OUT);
  });
  document.addEventListener("htmx:responseError", (event) => {
    const { status } = event.detail.xhr;
    if (status === 403) say(event, OLD_PAGE);
    else if (status === 503 && event.detail.elt.closest("#dialog")) say(event, BUSY);
    else failed(event);
  });
  document.addEventListener("htmx:sendError", failed);

  let opener = null;
  const stops = (box) => [...box.querySelectorAll("a[href], button, input, select, textarea, [tabindex]")]
    .filter((stop) => !stop.disabled && stop.type !== "hidden" && stop.offsetParent !== null);

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!event.detail.elt.closest("#dialog")) opener = event.detail.elt;
  });
  document.addEventListener("htmx:afterSettle", () => {
    const dialog = document.getElementById("dialog");
    if (!dialog || dialog.hasAttribute("role")) return;
    dialog.setAttribute("role", "dialog");
    dialog.setAttribute("aria-modal", "true");
    const title = dialog.querySelector("h1");
    if (title) {
      title.id = "dialog-title";
      dialog.setAttribute("aria-labelledby", title.id);
    }
    const cross = dialog.querySelector(":scope > [aria-label=Close]");
    // Once it is shown: first what is to be filled in, then whatever there is.
    setTimeout(() => {
      const [first] = dialog.querySelectorAll("#dialog-form :is(input:not([type=hidden]), select, textarea)");
      (first || stops(dialog).find((stop) => stop !== cross) || dialog).focus();
    }, 50);
  });
  document.addEventListener("keydown", (event) => {
    const dialog = document.getElementById("dialog");
    if (event.key !== "Tab" || !dialog || dialog.offsetParent === null) return;
    const all = stops(dialog);
    const at = all.indexOf(document.activeElement);
    const wanted = at + (event.shiftKey ? -1 : 1);
    if (at >= 0 && wanted >= 0 && wanted < all.length) return;
    event.preventDefault();
    all[event.shiftKey ? all.length - 1 : 0].focus();
  });
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("modal-content");
    if (!box) return;
    new MutationObserver(() => {
      if (box.parentElement.style.display === "none" && opener) opener.focus();
    }).observe(box.parentElement, { attributes: true, attributeFilter: ["style"] });
  });
}

// What a panel answers comes into view, above the bar that lies over the end of the page.
document.addEventListener("htmx:afterSettle", (event) => {
  event.target.querySelector(":scope > [role=status]")?.scrollIntoView({ block: "nearest" });
});

// Finds customers of the environment that the form has chosen; of a key that exists, the address
// of the search names the key.
document.addEventListener("DOMContentLoaded", () => {
  const select = document.querySelector(".customers-widget");
  if (!select || !window.django || !django.jQuery.fn.select2) return;
  const $ = django.jQuery;
  const environments = document.querySelectorAll("[name=environment]");
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
        environment: [...environments].find((choice) => choice.checked)?.value,
      }),
    },
  });
  for (const choice of environments) {
    choice.addEventListener("change", () => $(select).val(null).trigger("change"));
  }
});

// After a refused save the errors stay in view, and the first field that is wrong has the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  const errors = document.getElementById("form-errors");
  if (!errors) return;
  const wrong = [...document.querySelectorAll("#content-main form [aria-invalid=true]")]
    .find((field) => field.offsetParent !== null);
  const isReplaced = wrong && wrong.classList.contains("select2-hidden-accessible");
  const field = isReplaced ? wrong.parentElement.querySelector(".select2-selection") : wrong;
  (field || errors).focus({ preventScroll: true });
});

// A name that its list cuts short is told whole to whoever points at it.
document.addEventListener("pointerover", (event) => {
  const name = event.target.closest("#result_list :is(a, strong)");
  if (name && name.scrollHeight > name.clientHeight) name.title = name.textContent.trim();
});

// The theme has things to click that the keyboard does not reach: they become buttons.
{
  const NAMES = { more_horiz: "More actions", close: "Close", dark_mode: "Theme", light_mode: "Theme", computer: "Theme" };

  document.addEventListener("DOMContentLoaded", () => {
    for (const element of document.querySelectorAll("[x-on\\:click]")) {
      if (element.matches("a[href], button, input, select, textarea, [tabindex]")) continue;
      element.setAttribute("role", "button");
      element.tabIndex = 0;
      const name = NAMES[element.textContent.trim()];
      if (name) element.setAttribute("aria-label", name);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (!["Enter", " "].includes(event.key) || !event.target.matches("[role=button][x-on\\:click]")) return;
    event.preventDefault();
    event.target.click();
  });
}

// The menu of a narrow window takes the keyboard when it opens, and gives it back when it closes.
document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("menu-button");
  const menu = document.getElementById("nav-sidebar");
  if (!button || !menu) return;
  const isOpen = () => button.getAttribute("aria-expanded") === "true";
  let wasOpen = isOpen();
  new MutationObserver(() => {
    // Alpine.js writes the attribute once as the page loads, which opens and closes nothing.
    if (isOpen() === wasOpen) return;
    wasOpen = isOpen();
    if (wasOpen) menu.querySelector("a[href]").focus();
    else if (menu.contains(document.activeElement) || document.activeElement === document.body) button.focus();
  }).observe(button, { attributes: true, attributeFilter: ["aria-expanded"] });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen() && button.offsetParent !== null) button.click();
  });
});
