"use strict";

// Starts Swagger UI, and follows the system's colours.
{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  const place = document.getElementById("swagger-ui");

  // Swagger UI gives these no name, its introduction no landmark, and its tags a level too many.
  const name = () => {
    const introduction = place.querySelector(".information-container");
    if (introduction) introduction.setAttribute("role", "banner");
    const servers = place.querySelector(".scheme-container");
    if (servers) {
      servers.setAttribute("role", "region");
      servers.setAttribute("aria-label", "Server and key");
    }
    for (const tag of place.querySelectorAll("h3.opblock-tag, .models h4")) tag.setAttribute("aria-level", "2");
    const server = document.getElementById("servers");
    if (server) server.setAttribute("aria-label", "Server");
    for (const field of place.querySelectorAll("select:not([aria-label]), textarea:not([aria-label])")) {
      if (!field.labels.length) field.setAttribute("aria-label", "Value");
    }
  };
  new MutationObserver(name).observe(place, { childList: true, subtree: true });

  SwaggerUIBundle({
    url: place.dataset.schema,
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    // A link within each button that opens an operation cannot be reached by the keyboard alone.
    deepLinking: false,
    defaultModelsExpandDepth: 0,
    persistAuthorization: false,
  });
}
