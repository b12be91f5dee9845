// The radial spectrum: each LoRA's images against the references.
const SERIES = d3.range(8).map((i) => `var(--series-${i})`);
const DASHES = [null, "6 3", "2 3", "8 3 2 3"];

function spectrumChart(found) {
  const points = found.lines.flatMap((line) => line.mean.map((power, i) => ({ line, power, frequency: found.frequency[i], low: line.low[i], high: line.high[i] })));
  const loras = found.lines.filter((line) => line.kind === "lora");
  const stroke = (line) => (line.kind === "lora" ? SERIES[loras.indexOf(line) % SERIES.length] : line.kind === "base" ? "var(--soft)" : "var(--ink)");
  const dash = (line) => (line.kind === "lora" ? DASHES[Math.floor(loras.indexOf(line) / SERIES.length + loras.indexOf(line)) % DASHES.length] : line.kind === "base" ? "1 3" : null);
  const theirs = points.filter((point) => point.line.kind === "references");
  const room = byId("spectrum-chart").clientWidth - 30, narrow = room < 600;
  const chart = Plot.plot(plotted({
    width: Math.max(320, room), height: narrow ? 320 : 360, marginRight: narrow ? 96 : 150, marginLeft: 44, marginBottom: 36,
    x: { type: "log", label: "cycles per pixel", labelAnchor: "center", tickFormat: (value) => `${Number(value.toPrecision(2))}`, ticks: narrow ? 4 : 8 },
    y: { label: "power (log10)", grid: true, nice: true },
    marks: [
      Plot.areaY(theirs, { x: "frequency", y1: "low", y2: "high", fill: "var(--ink)", fillOpacity: 0.1 }),
      ...found.lines.map((line) => Plot.lineY(points.filter((point) => point.line === line), { x: "frequency", y: "power", stroke: stroke(line),
        strokeWidth: line.kind === "references" ? 2.5 : 1.6, strokeDasharray: dash(line) })),
      Plot.text(apart(found, narrow ? 320 : 360), { x: "frequency", y: "at", text: "name", textAnchor: "start", dx: 8, fill: (end) => stroke(end.line) }),
      Plot.tip(points, Plot.pointer({ x: "frequency", y: "power", fill: "var(--card)", title: (point) =>
        `${point.line.name} (${point.line.count})\n${number(point.frequency)} cycles per pixel\npower ${number(point.power)}` })),
    ],
  }));
  describe(chart, found.differences.join(", ") || "spectrum");
  return chart;
}

// Place names at the ends of the lines and move them apart if they overlap.
function apart(found, height) {
  const all = found.lines.flatMap((line) => line.mean), span = d3.max(all) - d3.min(all);
  const step = (span * 18) / (height - 60);
  const ends = found.lines.map((line) => ({ line, name: shortName(line.name), frequency: found.frequency.at(-1), at: line.mean.at(-1) }));
  ends.sort((a, b) => b.at - a.at);
  for (let i = 1; i < ends.length; i++) ends[i].at = Math.min(ends[i].at, ends[i - 1].at - step);
  return ends;
}

if (DATA.spectrum) {
  const found = DATA.spectrum, holder = make("div", { class: "chart" });
  const counts = found.lines.map((line) => `${line.name} ${line.count}`).join(", ");
  const smaller = found.lines.filter((line) => line.smaller).map((line) => `${line.smaller} of ${line.name}`);
  holder.style.minHeight = "360px";
  byId("spectrum-chart").append(holder);
  whenNear(holder, () => {
    holder.style.minHeight = "";
    holder.append(spectrumChart(found), make("p", { class: "said" }, [
      `Squares of ${found.side} px, larger pictures scaled down; mean of up to ${found.most} pictures${found.lines.length > 5 ? "" : ` (${counts})`}.`,
      found.lines.some((line) => line.kind === "references") ? "Shaded: where 80 % of the references lie." : "",
      smaller.length ? `Left out, because smaller: ${smaller.join(", ")}.` : "", found.differences.length ? `In the finest detail, with the references at 100 %: ${found.differences.join(", ")}.` : ""].filter(Boolean).join(" ")));
  });
} else byId("spectrum").hidden = true;
byId("pictures").hidden = !IMAGES.length && !DATA.live;
for (const id of ["pictures", "distributions", "similarity", "spectrum"])
  if (byId(id).hidden) document.querySelector(`.top nav a[href="#${id}"]`).hidden = true;
