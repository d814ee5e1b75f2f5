"use strict";
// Draws the page anew when the controller says that something changed, and every 15 s for the ages.
let isBusy = false;
let isAsked = false;

async function refresh() {
  if (isBusy) {
    isAsked = true;
    return;
  }
  isBusy = true;
  try {
    const response = await fetch("/");
    if (response.ok) {
      const next = new DOMParser().parseFromString(await response.text(), "text/html");
      document.querySelector("main").replaceWith(next.querySelector("main"));
      document.title = next.title;
      document.body.dataset.live = "yes";
    }
  } catch {
    document.body.dataset.live = "no";
  } finally {
    isBusy = false;
    if (isAsked) {
      isAsked = false;
      refresh();
    }
  }
}

const events = new EventSource("/events");
events.addEventListener("open", () => { document.body.dataset.live = "yes"; });
events.addEventListener("changed", refresh);
events.addEventListener("error", () => { document.body.dataset.live = "no"; });
setInterval(refresh, 15000);
