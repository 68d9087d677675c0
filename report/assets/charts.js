// Draws each chart of the page when it comes into view, and again when the theme changes.

(function (daybook) {
  "use strict";

  const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

  // The palette of Okabe and Ito, for charts without colours of their own.
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

  // Number format: 1,234.5 and, as in the text, 93.1 % with a space.
  const NUMBERS = {
    decimal: ".",
    thousands: ",",
    grouping: [3],
    currency: ["$", ""],
    percent: "\u00a0%",
  };

  // The Vega configuration of a theme; it changes colours and fonts, never the data.
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
      labelLimit: 190,
    };
    return {
      background: null,
      font: FONT,
      axis,
      axisXQuantitative: { labelSeparation: 6 },
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
      // Styles of labels and titles.
      style: { "guide-label": { fill: colours.quiet }, "group-title": { fill: colours.text } },
    };
  }

  // Draw `spec` into `view`; other scripts use it too.
  daybook.draw = async function (view, spec) {
    await daybook.load(new URL("generated/vega.js", daybook.assets));
    view.daybookResult?.finalize();
    view.daybookResult = await vegaEmbed(view, spec, {
      config: configuration(daybook.isDark()),
      formatLocale: NUMBERS,
      actions: false,
      renderer: "svg",
      tooltip: { theme: daybook.isDark() ? "dark" : "light" },
    });
    view.daybookSpec = spec;
    const chart = view.daybookResult.view;
    await fit(chart);
    // Screen readers read the view's label instead of the marks. A view with links or inputs is a
    // group, because an image has no parts.
    view.querySelector("svg > g").setAttribute("aria-hidden", "true");
    link(view);
    if (view.querySelector("a, input")) view.setAttribute("role", "group");
    let fitting = false;
    chart.addResizeListener(async () => {
      if (fitting) return;
      fitting = true;
      await fit(chart);
      fitting = false;
      link(view);
    });
    view.dataset.drawn = daybook.isDark() ? "dark" : "light";
  };

  // Vega lays a chart out once for the names beyond its axes, at the width it had before; where that
  // width changes by the layout, a second time gives them the room that they need.
  async function fit(chart) {
    await chart.runAsync();
    await chart.resize().runAsync();
  }

  // Links over the marks with an address. Vega itself follows a mark's address by script, for the
  // mouse only; these links also work with the keyboard, screen readers and new tabs.
  function link(view) {
    const svg = view.querySelector("svg");
    svg.querySelector(".daybook-links")?.remove();
    const links = new Map();
    for (const mark of svg.querySelectorAll(".role-mark *")) {
      const item = mark.__data__;
      if (!item?.href || !addressOf(item)) continue;
      if (!links.has(item.href)) links.set(item.href, linkTo(item));
      links.get(item.href).append(area(mark, item));
    }
    if (!links.size) return;
    const layer = document.createElementNS(svg.namespaceURI, "g");
    layer.setAttribute("class", "daybook-links");
    layer.append(...links.values());
    layer.addEventListener("keydown", step);
    layer.firstChild.setAttribute("tabindex", "0");
    svg.append(layer);
  }

  // A chart on any page links to "gallery.html#...", a page in report/.
  const addressOf = (item) => daybook.address(daybook.pageAddress(item.href));

  function linkTo(item) {
    const link = document.createElementNS("http://www.w3.org/2000/svg", "a");
    link.setAttribute("href", addressOf(item));
    link.setAttribute("tabindex", "-1");
    const facts = Object.entries(item.tooltip ?? {});
    link.setAttribute("aria-label", facts.map(([name, value]) => `${name}: ${value}`).join(", "));
    link.addEventListener("click", (event) => event.stopPropagation()); // Vega follows it too
    return link;
  }

  // A transparent copy of a mark; Vega still reads the mark's tooltip from it.
  function area(mark, item) {
    const { a, b, c, d, e, f } = mark.parentNode.getCTM();
    const own = mark.getAttribute("transform") ?? "";
    const copy = mark.cloneNode();
    for (const { name } of [...copy.attributes])
      if (name.startsWith("aria") || name === "role") copy.removeAttribute(name);
    copy.setAttribute("transform", `matrix(${[a, b, c, d, e, f]}) ${own}`);
    copy.__data__ = item;
    return copy;
  }

  // A chart's links are one tab stop; arrow keys move from link to link.
  function step(event) {
    const direction = {
      ArrowRight: [1, 0],
      ArrowLeft: [-1, 0],
      ArrowDown: [0, 1],
      ArrowUp: [0, -1],
    };
    if (!direction[event.key]) return;
    event.preventDefault();
    const [dx, dy] = direction[event.key];
    const from = event.target.getBoundingClientRect();
    const distance = (link) => {
      const to = link.getBoundingClientRect();
      const [x, y] = [to.x - from.x, to.y - from.y];
      const ahead = x * dx + y * dy;
      return ahead > 1 ? ahead + 3 * Math.abs(x * dy + y * dx) : Infinity;
    };
    const links = [...event.currentTarget.children].filter((each) => distance(each) < Infinity);
    const [next] = links.sort((one, other) => distance(one) - distance(other));
    if (!next) return;
    event.target.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  }

  daybook.onTheme(() => {
    for (const view of document.querySelectorAll("[data-drawn]"))
      daybook.draw(view, view.daybookSpec);
  });

  // The data of a chart, by name.
  daybook.chartData = function (spec) {
    const datasets = new Map(Object.entries(spec.datasets || {}));
    if (spec.data?.values) datasets.set("data", spec.data.values);
    return [...datasets].filter(([, rows]) => Array.isArray(rows) && rows.length);
  };

  // The row under a chart: its data, and the command that creates it.
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
    const command = daybook.pages?.[daybook.pagePath()]?.command;
    if (command) {
      row.append(
        daybook.element(
          "details",
          {},
          daybook.element("summary", {}, "Command"),
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
  const ready = daybook.load(new URL("generated/pages.js", daybook.assets)).catch(() => {});

  // One screen ahead, so that charts are drawn before a reader reaches them.
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

  // Before printing, all charts are drawn.
  window.addEventListener("beforeprint", () =>
    figures.forEach((figure) => near.unobserve(figure) || show(figure)),
  );
})(window.daybook);
