// For several checkpoints or strengths: each row's value along the axis, with the row's limits.
function curveChart(curve, axis, categories, width) {
  const points = curve.series.flatMap((series) => series.points.filter((point) => point.value !== null).map((point) => ({ ...point, series: series.name })));
  if (!points.length) return null;
  const names = curve.series.map((series) => series.name);
  const colour = (name) => SERIES[names.indexOf(name) % SERIES.length];
  const known = [...points.flatMap((point) => [point.value, point.low, point.high]), curve.min, curve.max].filter((value) => value !== null);
  const placed = categories.length ? (x) => categories[x] : (x) => x;
  const [low, high] = d3.extent(known), spare = (high - low || 1) * 0.05;
  const outside = [curve.min === null ? null : { from: low - spare, to: curve.min }, curve.max === null ? null : { from: curve.max, to: high + spare }].filter(Boolean);
  const chart = Plot.plot(plotted({
    width, height: 240, marginLeft: 52, marginRight: names.length > 1 ? 90 : 20,
    x: categories.length ? { label: axis, labelAnchor: "center", labelArrow: "none", domain: [-0.5, categories.length - 0.5], ticks: categories.map((_, i) => i), tickFormat: (i) => shortName(placed(i)) }
      : { label: axis, labelAnchor: "center", nice: true },
    y: { domain: [low - spare, high + spare], label: curve.label, grid: true },
    marks: [
      Plot.rectY(outside, { y1: "from", y2: "to", fill: "url(#hatch)" }),
      Plot.ruleY([curve.min, curve.max].filter((limit) => limit !== null), { stroke: "var(--FAIL)", strokeWidth: 1.5 }),
      ...names.flatMap((name, i) => {
        const own = points.filter((point) => point.series === name);
        const bounded = own.filter((point) => point.low !== null && point.high !== null);
        return [
          categories.length ? Plot.ruleX(bounded, { x: "x", y1: "low", y2: "high", stroke: colour(name), strokeWidth: 4, strokeOpacity: 0.25 })
            : Plot.areaY(bounded, { x: "x", y1: "low", y2: "high", fill: colour(name), fillOpacity: 0.12 }),
          categories.length ? null : Plot.lineY(own, { x: "x", y: "value", stroke: colour(name), strokeWidth: 1.6, strokeDasharray: DASHES[i % DASHES.length] }),
          name ? Plot.text(own.slice(-1), { x: "x", y: "value", text: () => shortName(name), textAnchor: "start", dx: 8, fill: colour(name) }) : null,
        ];
      }),
      Plot.dot(points, { x: "x", y: "value", r: (point) => (point.best ? 7 : 4), symbol: (point) => (point.best ? "star" : point.outcome === "PASS" ? "circle" : "times"),
        stroke: (point) => colour(point.series), strokeWidth: 1.6, fill: (point) => (point.best || point.outcome === "PASS" ? colour(point.series) : "none") }),
      Plot.tip(points, Plot.pointer({ x: "x", y: "value", fill: "var(--card)", title: (point) =>
        `${point.lora}${point.best ? " (best)" : ""}\n${axis} ${placed(point.x)}\n${curve.label} ${number(point.value)}${point.low === null ? "" : ` [${number(point.low)}, ${number(point.high)}]`}\n${point.outcome}` })),
    ],
  }));
  describe(chart, `${curve.check} over ${axis}: ${points.map((point) => `${placed(point.x)}: ${number(point.value)}`).join(", ")}`);
  return chart;
}

if (DATA.curves) {
  byId("curves").append(make("p", { class: "lead whole" }, "Filled: passed; ✕: did not pass; star: the best. The hatched area is outside the limits, the shaded area is the interval."));
  for (const curve of DATA.curves.curves) {
    const holder = make("div", { class: "chart" }, make("h3", {}, curve.check, make("small", {}, curve.about)));
    holder.style.minHeight = "120px";
    byId("curves").append(holder);
    whenNear(holder, () => holder.append(curveChart(curve, DATA.curves.axis, DATA.curves.categories, roomIn(holder)) ?? make("p", { class: "said" }, "no value")));
  }
}
