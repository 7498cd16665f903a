// Ages that grow, a line that has fallen silent, and a console that does not answer: nothing else is done here.
"use strict";
(function () {
  const offset = Number(document.body.dataset.now) - Date.now();
  const silentAfter = 10000;
  let heard = Date.now();

  function age(ms) {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return Math.floor(seconds / size) + " " + unit;
    }
    return seconds + " s";
  }

  function tick() {
    const now = Date.now() + offset;
    for (const each of document.querySelectorAll("time[data-at]")) {
      if (!each.title) each.title = each.textContent;
      const words = age(now - Number(each.dataset.at)) + " ago";
      if (each.textContent !== words) each.textContent = words;
    }
    for (const each of document.querySelectorAll("[data-since]")) {
      each.textContent = age(now - Number(each.dataset.since));
    }
    const silent = Date.now() - heard;
    if (document.body.hasAttribute("sse-connect")) say(silent > silentAfter ? silent : 0);
  }

  // The age stands apart: what is read aloud does not begin anew each second.
  function say(silent) {
    document.getElementById("heard").textContent = age(silent);
    document.getElementById("no-console").hidden = !silent;
  }

  for (const name of ["htmx:sseMessage", "htmx:sseOpen"]) {
    document.addEventListener(name, function () { heard = Date.now(); tick(); });
  }

  // A press that came to nothing must say so: what was asked for may not have happened.
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, function (event) {
      const target = event.detail.target;
      if (!target) return;
      const words = document.createElement("p");
      words.className = "said bad";
      words.textContent = "The console did not answer: it is not known whether anything was done. " +
        "Press again, or from a shell: graysplit rollback";
      target.replaceChildren(words);
    });
  }

  document.addEventListener("htmx:afterSwap", tick);
  setInterval(tick, 1000);
  tick();
})();
