// The picture of the evidence: failed calls and p95 of both versions, drawn by uPlot from this console's own numbers.
"use strict";
(function () {
  const room = document.querySelector("[data-lines]");
  if (!room || !window.uPlot) return;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  let charts = [];

  function options(title, release, width, unit) {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    return {
      title, width, height: 190, legend: { live: false },
      scales: { y: { range: (chart, low, high) => [0, Math.max(high || 0, unit === "%" ? 1 : 10) * 1.1] } },
      axes: [axis, { ...axis, size: 62, values: (chart, marks) => marks.map((mark) => mark + " " + unit) }],
      series: [
        {},
        { label: release.candidate, stroke: colour("--bar"), width: 2 },
        { label: release.baseline, stroke: colour("--soft"), width: 2, dash: [6, 4] },
      ],
    };
  }

  function draw(said) {
    charts.forEach((chart) => chart.destroy());
    charts = [];
    const width = Math.max(220, room.parentElement.clientWidth - 30);
    for (const release of said.releases) {
      for (const [name, title, unit] of [["failed", "Failed calls", "%"], ["p95", "p95", "ms"]]) {
        const lines = release[name];
        const drawn = lines.at.filter((_, at) => lines.new[at] !== null || lines.old[at] !== null);
        if (drawn.length < 3) continue;
        room.hidden = false;
        const titled = title + ", " + release.candidate + " and " + release.baseline;
        charts.push(new uPlot(options(titled, release, width, unit), [lines.at, lines.new, lines.old], room));
      }
    }
  }

  async function load() {
    if (document.hidden) return;
    try {
      const answer = await fetch(room.dataset.lines, { headers: { accept: "application/json" } });
      if (answer.ok) draw(await answer.json());
    } catch {
      // the line that has fallen silent says so; the picture stays
    }
  }

  setInterval(load, 15000);
  load();
})();
