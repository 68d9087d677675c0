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

  // How numbers read: 1,234.5 and, as in the text, 93.1 % with a space.
  const NUMBERS = {
    decimal: ".",
    thousands: ",",
    grouping: [3],
    currency: ["$", ""],
    percent: "\u00a0%",
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
      formatLocale: NUMBERS,
      actions: false,
      renderer: "svg",
      tooltip: { theme: daybook.isDark() ? "dark" : "light" },
    });
    view.daybookSpec = spec;
    const chart = view.daybookResult.view;
    // The view's label speaks for what is drawn; what can be operated speaks for itself, in a group
    // instead of a picture, which has no parts.
    view.querySelector("svg > g").setAttribute("aria-hidden", "true");
    link(view);
    if (view.querySelector("a, input")) view.setAttribute("role", "group");
    chart.addResizeListener(() => chart.runAsync().then(() => link(view)));
    view.dataset.drawn = daybook.isDark() ? "dark" : "light";
  };

  // Links over the marks that lead somewhere. Vega's own renderer draws none: it follows a mark's
  // address by script, for the mouse alone. These can be tabbed to, opened elsewhere, read aloud.
  function link(view) {
    const svg = view.querySelector("svg");
    svg.querySelector(".daybook-links")?.remove();
    const links = new Map();
    for (const mark of svg.querySelectorAll(".role-mark *")) {
      const item = mark.__data__;
      if (!item?.href) continue;
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

  // A chart names "gallery.html#..." from whatever page it stands on.
  function linkTo(item) {
    const link = document.createElementNS("http://www.w3.org/2000/svg", "a");
    link.setAttribute("href", new URL(item.href, new URL("report/", daybook.root)));
    link.setAttribute("tabindex", "-1");
    const facts = Object.entries(item.tooltip ?? {});
    link.setAttribute("aria-label", facts.map(([name, value]) => `${name}: ${value}`).join(", "));
    link.addEventListener("click", (event) => event.stopPropagation()); // Vega would follow it too
    return link;
  }

  // A mark's place, see-through; Vega still finds the mark there for its tooltip.
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

  // The links of a chart are one stop of the tab key; arrow keys go from one to the next.
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
