"use strict";
// Draws the result that the page carries: figures of the chosen run, and the plots.
(() => {
  const result = JSON.parse(document.getElementById("result").textContent);
  const runs = result.runs;

  const isRamp = result.load.mode === "ramp";
  // Where every rate was kept nothing bends.
  const kneeRate = result.knee && result.knee.broken_per_second !== null ? result.knee.per_second : null;
  const kneeIndex = runs.findIndex((run) => kneeRate !== null && run.asked_per_second === kneeRate);
  // More colours than these are not told apart.
  const COLOURS = 8;
  // 50 %, 90 %, 99 % and so on, as 1/(1-p).
  const PERCENTILES = [2, 10, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
  const state = { run: Math.max(kneeIndex, 0), hidden: new Set(), plots: [] };

  // ---- figures in words, as in the tables

  const grouped = (number) => Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  const rate = (perSecond) => (perSecond < 99.95 ? perSecond.toFixed(1) : grouped(perSecond));
  const latency = (us) => {
    const [value, unit] = us < 999.5 ? [us, "µs"] : us < 999500 ? [us / 1e3, "ms"] : [us / 1e6, "s"];
    const decimals = value < 9.995 && unit !== "µs" ? 2 : value < 99.95 ? 1 : 0;
    return value.toFixed(decimals) + " " + unit;
  };
  const share = (percent) =>
    percent <= 0 ? "0 %" : percent < 0.01 ? "<0.01 %" : percent < 9.995 ? percent.toFixed(2) + " %"
      : percent < 99.95 ? percent.toFixed(1) + " %" : "100 %";
  const seconds = (s) => (+s.toFixed(3)).toString() + " s";
  // 1/(1-p) as the percentile: 100 is 99 %, 1000 is 99.9 %.
  const percentile = (x) => (100 - 100 / x).toFixed(Math.max(0, Math.ceil(Math.log10(x) - 2 - 1e-9))) + " %";
  const percentileTick = (x) => percentile(x).replace(" ", "");
  // Of round numbers on an axis: no needless decimals.
  const latencyTick = (us) =>
    us < 1e3 ? +us.toPrecision(3) + " µs" : us < 1e6 ? +(us / 1e3).toPrecision(3) + " ms" : +(us / 1e6).toPrecision(3) + " s";
  const percentTick = (value) => +value.toPrecision(3) + " %";
  const rateTick = (value) => (value < 100 ? (+value.toPrecision(3)).toString() : grouped(value));
  const orDash = (words) => (value) => (value === null || value === undefined ? "-" : words(value));

  const nameOf = (run) => (isRamp ? rate(run.asked_per_second) + "/s" : "Run " + run.number);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  // ---- scales and axes

  // At least a power of ten, or there might be no tick in it.
  const latencyRange = (_plot, min, max) => {
    if (min === null || max === null) return [1, 1000];
    const [low, high] = [Math.max(min, 0.1), Math.max(max, 0.1)];
    const room = Math.max(1.3, Math.sqrt((10 * low) / high));
    return [low / room, high * room];
  };
  const fromZero = (atLeast) => (_plot, _min, max) => [0, Math.max(atLeast, (max || 0) * 1.08)];

  // 1, 2, 5, 10, 20, ...; where they would be many, powers of ten only.
  function logTicks(min, max) {
    const ticks = (mantissas) => {
      const found = [];
      for (let power = Math.floor(Math.log10(min)); 10 ** power <= max; power++) {
        for (const mantissa of mantissas) {
          const tick = mantissa * 10 ** power;
          if (tick >= min && tick <= max) found.push(tick);
        }
      }
      return found;
    };
    const many = ticks([1, 2, 5]);
    return many.length <= 7 ? many : ticks([1]);
  }

  // Leaves out the labels that would run into the one before.
  function withRoom(plot, splits, words) {
    let end = -Infinity;
    return splits.map((split) => {
      const half = 4 * words(split).length;
      const middle = plot.valToPos(split, "x");
      if (middle - half < end) return null;
      end = middle + half + 4;
      return split;
    });
  }

  function axis(options) {
    const ink = colour("soft");
    const grid = { stroke: colour("grid"), width: 1 };
    return { stroke: ink, size: 34, font: "12px system-ui, sans-serif", grid, ticks: { ...grid, size: 5 }, ...options };
  }

  const latencyAxis = () =>
    axis({
      scale: "y",
      size: 66,
      splits: (_plot, _axis, min, max) => logTicks(min, max),
      filter: (_plot, splits) => splits,
      values: (_plot, splits) => splits.map(latencyTick),
    });
  const linearAxis = (tick) =>
    axis({ scale: "y", size: 66, values: (_plot, splits) => splits.map(tick) });
  const timeAxis = () =>
    axis({ scale: "x", values: (_plot, splits) => splits.map((split) => seconds(split)) });

  function line(label, hue, words, options) {
    return { label, stroke: colour(hue), width: 2, points: { show: false }, value: (_plot, value) => orDash(words)(value), ...options };
  }

  const stepped = uPlot.paths.stepped({ align: 1, alignGaps: 1 });

  // ---- plots

  // One plot in its figure; what was hidden before stays hidden.
  function draw(id, { scales, axes, series, data, hooks }) {
    const figure = document.getElementById(id);
    const place = figure.querySelector(".plot");
    place.textContent = "";
    series.forEach((one, at) => {
      if (at > 0) one.show = !state.hidden.has(id + "/" + one.label);
    });
    const plot = new uPlot(
      {
        width: place.clientWidth,
        height: place.clientWidth < 500 ? 230 : 290,
        scales,
        axes,
        series,
        hooks: {
          ...hooks,
          setSeries: [
            (self, at) => {
              if (!at) return;
              const key = id + "/" + self.series[at].label;
              if (self.series[at].show) state.hidden.delete(key);
              else state.hidden.add(key);
              sayPressed(self);
            },
          ],
        },
        padding: [12, 28, 0, 0],
        cursor: { points: { size: 7 }, drag: { x: true, y: false } },
        legend: { live: true },
      },
      data,
      place,
    );
    const canvas = plot.root.querySelector("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", figure.querySelector("figcaption").textContent);
    const names = [...plot.root.querySelectorAll(".u-series th")];
    names.slice(1).forEach((name) => {
      name.tabIndex = 0;
      name.setAttribute("role", "button");
      name.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        name.click();
      });
    });
    sayPressed(plot);
    state.plots.push({ plot, place });
  }

  function sayPressed(plot) {
    const names = [...plot.root.querySelectorAll(".u-series th")];
    names.forEach((name, at) => {
      if (at > 0) name.setAttribute("aria-pressed", plot.series[at].show ? "true" : "false");
    });
  }

  // All runs where colours suffice; else the chosen one, the knee, and both ends.
  function shownRuns() {
    const all = runs.map((_run, at) => at);
    if (all.length <= COLOURS) return all;
    const ends = new Set([0, state.run, kneeIndex, all.length - 1]);
    return all.filter((at) => ends.has(at));
  }

  // Share and latency of a run; the table's own percentiles are among them to the digit.
  function distribution(run) {
    const known = run.latency_us;
    if (!known) return [];
    const exact = [[0.5, known.p50], [0.9, known.p90], [0.99, known.p99], [0.999, known.p99_9], [0.9999, known.p99_99]];
    const points = run.percentiles.concat(exact.filter(([quantile]) => known.count * (1 - quantile) >= 1));
    // The slowest probe is at the share of all the others.
    return points
      .map(([quantile, us]) => [Math.min(1 / (1 - quantile), known.count), us])
      .sort((left, right) => left[0] - right[0] || left[1] - right[1]);
  }

  function drawPercentiles() {
    const shown = shownRuns();
    const lines = shown.map((at) => distribution(runs[at]));
    const xs = [...new Set(lines.flatMap((points) => points.map(([x]) => x)))].sort((left, right) => left - right);
    const columns = lines.map((points) => {
      const last = points.length ? points[points.length - 1][0] : 0;
      let at = 0;
      return xs.map((x) => {
        while (at + 1 < points.length && points[at + 1][0] <= x) at++;
        return points.length && points[at][0] <= x && x <= last ? points[at][1] : null;
      });
    });
    draw("plot-percentiles", {
      scales: { x: { time: false, distr: 3, log: 10, range: (_plot, min, max) => [Math.max(1, min), Math.max(max, 10)] }, y: { distr: 3, log: 10, range: latencyRange } },
      axes: [
        axis({
          scale: "x",
          splits: (_plot, _axis, min, max) => PERCENTILES.filter((x) => x >= min && x <= max),
          filter: (plot, splits) => withRoom(plot, splits, percentileTick),
          values: (_plot, splits) => splits.map((x) => (x === null ? null : percentileTick(x))),
        }),
        latencyAxis(),
      ],
      series: [
        { label: "percentile", value: (_plot, x) => orDash(percentile)(x) },
        ...shown.map((at, place) =>
          line(nameOf(runs[at]), "c" + (place % COLOURS), latency, { width: at === state.run ? 3 : 1.5, alpha: at === state.run || shown.length < 4 ? 1 : 0.8 })),
      ],
      data: [xs, ...columns],
    });
  }

  // A value for each interval, and the last once more, so that its step has a width.
  function overTime(run, figures) {
    const intervals = run.intervals;
    const last = intervals[intervals.length - 1];
    const twice = (values) => values.concat(values.slice(-1));
    return [
      intervals.map((one) => one.start_s).concat(last ? [last.start_s + last.length_s] : []),
      ...figures.map((figure) => twice(intervals.map(figure))),
    ];
  }

  const time = { label: "time", value: (_plot, s) => orDash(seconds)(s) };
  const timeScale = { time: false, range: (_plot, min, max) => [min || 0, max || 1] };

  function drawLatency(run) {
    const of = (name) => (one) => (one.latency_us ? one.latency_us[name] : null);
    draw("plot-latency", {
      scales: { x: timeScale, y: { distr: 3, log: 10, range: latencyRange } },
      axes: [timeAxis(), latencyAxis()],
      series: [
        time,
        line("p50", "c0", latency, { paths: stepped }),
        line("p99", "c1", latency, { paths: stepped }),
        line("max", "c3", latency, { paths: stepped, dash: [6, 4] }),
      ],
      data: overTime(run, [of("p50"), of("p99"), of("max")]),
    });
  }

  function drawRate(run) {
    const asked = run.asked_per_second !== null;
    const per = (figure) => (one) => (one.length_s > 0 ? figure(one) / one.length_s : null);
    draw("plot-rate", {
      scales: { x: timeScale, y: { range: fromZero(1) } },
      axes: [timeAxis(), linearAxis(rateTick)],
      series: [
        time,
        line("ended/s", "c0", rate, { paths: stepped }),
        ...(asked ? [line("due/s", "c1", rate, { paths: stepped, dash: [6, 4], width: 1.5 })] : []),
      ],
      data: overTime(run, [per((one) => one.ended), ...(asked ? [per((one) => one.due)] : [])]),
    });
  }

  function drawLoss(run) {
    const part = (name) => (one) => (one.due > 0 ? (100 * one[name]) / one.due : null);
    draw("plot-loss", {
      scales: { x: timeScale, y: { range: fromZero(0.1) } },
      axes: [timeAxis(), linearAxis(percentTick)],
      series: [
        time,
        line("timeouts", "c1", share, { paths: stepped }),
        line("unsent", "c0", share, { paths: stepped, dash: [6, 4] }),
        line("unknown", "c3", share, { paths: stepped, dash: [2, 3] }),
      ],
      data: overTime(run, ["timeouts", "unsent", "unknown"].map(part)),
    });
  }

  // A dashed line and a word where the ramp bends.
  function markKnee(plot) {
    if (kneeRate === null) return;
    const { ctx, bbox } = plot;
    const x = plot.valToPos(kneeRate, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("ink");
    ctx.lineWidth = uPlot.pxRatio;
    ctx.setLineDash([5 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = `600 ${12 * uPlot.pxRatio}px system-ui, sans-serif`;
    ctx.textBaseline = "top";
    ctx.textAlign = "right";
    ctx.fillText("knee", x - 6 * uPlot.pxRatio, bbox.top + 4 * uPlot.pxRatio);
    ctx.restore();
  }

  function drawRamp() {
    const steps = [...runs].sort((left, right) => left.asked_per_second - right.asked_per_second);
    const asked = steps.map((step) => step.asked_per_second);
    const of = (name) => steps.map((step) => (step.latency_us ? step.latency_us[name] : null));
    const axisOfRates = axis({ scale: "x", values: (_plot, splits) => splits.map(rateTick), space: 70 });
    const first = { label: "asked/s", value: (_plot, value) => orDash(rate)(value) };
    const x = { time: false };
    const points = { points: { show: true, size: 6 } };
    draw("plot-ramp-latency", {
      scales: { x, y: { distr: 3, log: 10, range: latencyRange } },
      axes: [axisOfRates, latencyAxis()],
      series: [
        first,
        line("p50", "c0", latency, points),
        line("p99", "c1", latency, points),
        line("p99.9", "c2", latency, points),
      ],
      data: [asked, of("p50"), of("p99"), of("p99_9")],
      hooks: { draw: [markKnee] },
    });
    draw("plot-ramp-rate", {
      scales: { x, y: { range: fromZero(1) } },
      axes: [{ ...axisOfRates }, linearAxis(rateTick)],
      series: [
        { ...first },
        line("delivered/s", "c0", rate, points),
        line("asked/s", "c1", rate, { dash: [6, 4], width: 1.5 }),
      ],
      data: [asked, steps.map((step) => step.per_second), asked],
      hooks: { draw: [markKnee] },
    });
  }

  function drawAll() {
    if (runs.length === 0) return;
    for (const { plot } of state.plots) plot.destroy();
    state.plots = [];
    const run = runs[state.run];
    if (isRamp) drawRamp();
    drawPercentiles();
    drawLatency(run);
    drawRate(run);
    drawLoss(run);
  }

  // ---- the chosen run

  const CARD_NAMES = { "rate/s": "probes/s", CPU: "CPU per probe", cores: "busy cores" };

  function card(name, value) {
    const box = document.createElement("div");
    const term = document.createElement("dt");
    const words = document.createElement("dd");
    term.textContent = name;
    words.textContent = value;
    box.append(term, words);
    return box;
  }

  function show(index) {
    state.run = index;
    const run = runs[index];
    // The table has them in words already.
    const row = document.querySelectorAll("#runs tr")[index];
    const columns = [...document.querySelectorAll("thead th")].map((head) => head.textContent);
    const cells = [...row.querySelectorAll("td")].map((cell) => cell.textContent);
    document.getElementById("cards").replaceChildren(
      ...cells.map((cell, at) => card(CARD_NAMES[columns[at + 1]] || columns[at + 1], cell)));
    document.getElementById("limit").textContent =
      "Limited by " + run.limited_by.what.replaceAll("_", " ") + ": " + run.limited_by.why + ".";
    for (const small of document.querySelectorAll("[data-run]")) small.textContent = nameOf(run);
    [...document.querySelectorAll("#runs tr")].forEach((row, at) => row.classList.toggle("chosen", at === index));
    const picker = document.getElementById("picker");
    for (const button of picker.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", button.dataset.at === String(index) ? "true" : "false");
    }
    drawAll();
  }

  function makePicker() {
    const picker = document.getElementById("picker");
    if (runs.length <= 12) {
      runs.forEach((run, at) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.at = at;
        button.textContent = isRamp ? nameOf(run) : String(run.number);
        button.addEventListener("click", () => show(at));
        picker.append(button);
      });
      return;
    }
    const select = document.createElement("select");
    select.setAttribute("aria-labelledby", "picker-label");
    runs.forEach((run, at) => select.add(new Option(nameOf(run), String(at))));
    select.value = String(state.run);
    select.addEventListener("change", () => show(Number(select.value)));
    picker.append(select);
  }

  // ---- light and dark

  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
  const themeButton = document.getElementById("theme");
  const sayTheme = () => {
    themeButton.textContent = isDark() ? "Light" : "Dark";
    themeButton.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  };
  themeButton.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    sayTheme();
    drawAll();
  });
  prefersDark.addEventListener("change", () => {
    sayTheme();
    drawAll();
  });

  themeButton.hidden = false;
  sayTheme();
  if (runs.length === 0) return;
  document.getElementById("plots").hidden = false;
  for (const id of ["plot-ramp-latency", "plot-ramp-rate"]) document.getElementById(id).hidden = !isRamp;
  makePicker();
  show(state.run);

  new ResizeObserver(() => {
    for (const { plot, place } of state.plots) {
      if (Math.abs(place.clientWidth - plot.width) > 1) {
        plot.setSize({ width: place.clientWidth, height: place.clientWidth < 500 ? 230 : 290 });
      }
    }
  }).observe(document.getElementById("plots"));
})();
