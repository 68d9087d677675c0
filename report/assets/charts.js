// Draws the page's charts: each when it comes into view, again when the theme changes.

(function (daybook) {
  "use strict";

  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

  // Okabe and Ito's palette, for charts that name no colours of their own.
  const CATEGORIES = [
    "#0070B0",
    "#C28500",
    "#009E73",
    "#C0522A",
    "#BB5F95",
    "#3F98D0",
    "#7A7000",
    "#767676",
  ];

  const THEMES = {
    light: {
      text: "#1d2329",
      quiet: "#5a646e",
      line: "#c9d0d6",
      grid: "#eceff1",
      ramp: ["#f1f6fa", "#0a4a7c"],
    },
    dark: {
      text: "#e1e5e9",
      quiet: "#a3adb6",
      line: "#4a535b",
      grid: "#2a3037",
      ramp: ["#1e262d", "#8cc7f2"],
    },
  };

  // The Vega configuration of a theme. Nothing here is data: a chart reads the same in both.
  function configuration(dark) {
    const colours = THEMES[dark ? "dark" : "light"];
    const axis = {
      labelColor: colours.quiet,
      titleColor: colours.text,
      domainColor: colours.line,
      tickColor: colours.line,
      gridColor: colours.grid,
      labelFontSize: 12,
      titleFontSize: 12,
      titleFontWeight: "normal",
      titlePadding: 8,
      labelLimit: 160,
    };
    return {
      background: null,
      font: FONT,
      axis,
      view: { stroke: null },
      title: {
        anchor: "start",
        color: colours.text,
        subtitleColor: colours.quiet,
        fontSize: 15,
        fontWeight: 600,
        subtitleFontSize: 12,
        offset: 12,
      },
      legend: {
        labelColor: colours.text,
        titleColor: colours.quiet,
        labelFontSize: 12,
        titleFontSize: 12,
        titleFontWeight: "normal",
      },
      header: { labelColor: colours.text, titleColor: colours.quiet, labelFontSize: 12 },
      range: { category: CATEGORIES, ramp: colours.ramp, heatmap: colours.ramp },
      text: { color: colours.text, fontSize: 12 },
      rule: { color: colours.quiet },
      tick: { color: colours.quiet },
      line: { color: CATEGORIES[0], strokeWidth: 2 },
      point: { color: CATEGORIES[0] },
      bar: { color: CATEGORIES[0] },
      area: { color: CATEGORIES[0] },
      // Marks that stand for the page's text or ground take these styles.
      style: { "guide-label": { fill: colours.quiet }, "group-title": { fill: colours.text } },
    };
  }

  // Draw `spec` into `view`. Other scripts draw their charts with it too.
  daybook.draw = async function (view, spec) {
    await daybook.load(new URL("generated/vega.js", daybook.assets));
    view.daybookResult?.finalize();
    view.daybookResult = await vegaEmbed(view, spec, {
      config: configuration(daybook.isDark()),
      actions: false,
      renderer: "svg",
      // A chart links to "gallery.html#..." from whatever page it stands on.
      loader: { baseURL: new URL("report", daybook.root).href, target: "_self" },
      tooltip: { theme: daybook.isDark() ? "dark" : "light" },
    });
    view.daybookSpec = spec;
    view.dataset.drawn = daybook.isDark() ? "dark" : "light";
  };

  daybook.onTheme(() => {
    for (const view of document.querySelectorAll("[data-drawn]"))
      daybook.draw(view, view.daybookSpec);
  });

  // The data that a chart was drawn from, by name.
  daybook.chartData = function (spec) {
    const found = new Map(Object.entries(spec.datasets || {}));
    if (spec.data?.values) found.set("data", spec.data.values);
    return [...found].filter(([, rows]) => Array.isArray(rows) && rows.length);
  };

  // The row under a chart: its data, and the command that makes it again.
  function footer(name, spec) {
    const sets = daybook.chartData(spec);
    const links = sets.map(([, rows], index) => {
      const numbered = sets.length > 1 ? ` ${index + 1}` : "";
      return daybook.downloadLink(
        `Data${numbered} (CSV)`,
        `${name}${numbered.replace(" ", "-")}.csv`,
        () => daybook.csv(rows),
      );
    });
    const row = daybook.element("div", { class: "daybook-made" }, ...links);
    const page = location.pathname
      .split("/")
      .pop()
      .replace(/\.html$/, "");
    const command = daybook.study?.pages[page || "index"]?.command;
    if (command) {
      row.append(
        daybook.element(
          "details",
          {},
          daybook.element("summary", {}, "How it was made"),
          daybook.element("pre", { tabindex: "0" }, daybook.element("code", {}, command)),
        ),
      );
    }
    return row;
  }

  async function specification(figure) {
    const script = figure.querySelector(".daybook-spec");
    if (!script.dataset.src) return JSON.parse(script.textContent);
    await daybook.load(script.dataset.src);
    return daybook.specs[figure.dataset.name];
  }

  async function show(figure) {
    const view = figure.querySelector(".daybook-view");
    try {
      const spec = await specification(figure);
      await daybook.draw(view, spec);
      if (!figure.querySelector(".daybook-made")) figure.append(footer(figure.dataset.name, spec));
    } catch (error) {
      view.textContent = `This chart could not be drawn: ${error.message}`;
      throw error;
    }
  }

  const figures = [...document.querySelectorAll(".daybook-chart")];
  if (!figures.length) return;
  const ready = daybook.load(new URL("generated/study.js", daybook.assets)).catch(() => {});

  // A screen ahead, so that a reader who scrolls finds the charts there.
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        near.unobserve(entry.target);
        ready.then(() => show(entry.target));
      }
    },
    { rootMargin: "100% 0px" },
  );
  figures.forEach((figure) => near.observe(figure));

  // Paper knows no scrolling.
  window.addEventListener("beforeprint", () =>
    figures.forEach((figure) => near.unobserve(figure) || show(figure)),
  );
})(window.daybook);
