"use strict";

// Loads the library of charts on pages that have one, in time for the theme to draw them: it
// begins with the load event, which waits for this.
{
  const { library } = document.currentScript.dataset;
  if (document.querySelector("canvas.chart")) {
    const script = document.createElement("script");
    script.src = library;
    document.head.append(script);
  }
}
