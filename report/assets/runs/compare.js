// The selected runs side by side: their curves over one another, and what differs between them.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const HINT =
    "Select runs in the table to compare their curves and recipes.";

  // A run's history, by column, from its own file.
  daybook.historyOf = async function (id) {
    await daybook.load(new URL(`generated/history/${id}.js`, daybook.assets));
    return daybook.histories[id];
  };

  // Fills the section under the table; returns what shows `rows` there. `change` is told what of the
  // view the reader changes here.
  daybook.comparison = function (box, change) {
    const controls = controlRow(change);
    const view = element("div", {
      class: "daybook-view",
      style: "min-height: 380px",
      role: "group",
      "aria-label": "Curves of the selected runs",
    });
    const table = element("div", {
      class: "daybook-scroll",
      tabindex: "0",
      role: "group",
      "aria-label": "Differences between the selected runs",
    });
    box.append(
      element("h2", {}, "Compare"),
      element("p", { class: "runs-hint" }, HINT),
      controls.row,
      view,
      table,
    );
    let wanted = "";

    return async function show(rows, state, fields, figures) {
      box.classList.toggle("empty", rows.length === 0);
      const differing = model.differing(rows, fields);
      controls.sync(state);
      table.replaceChildren(differences(rows, differing, figures, change));
      const asked = JSON.stringify([rows.map(({ id }) => id), state.metric, state.x, state.smooth]);
      if (!rows.length || asked === wanted) return;
      wanted = asked;
      const names = model.names(rows, differing);
      const histories = await Promise.all(rows.map(({ id }) => daybook.historyOf(id)));
      // A newer choice has overtaken this one while it was loading.
      if (asked !== wanted) return;
      const series = names.map((name, i) => ({ name, history: histories[i] }));
      await daybook.draw(view, model.curves(series, { ...state, narrow: box.clientWidth < 600 }));
    };
  };

  function controlRow(change) {
    const chooser = (name, choices) =>
      element(
        "select",
        { onchange: (event) => change({ [name]: event.target.value }) },
        ...choices.map((choice) => element("option", { value: choice }, model.label(choice))),
      );
    const metric = chooser("metric", model.METRICS);
    const x = chooser("x", Object.keys(model.AXES));
    const smooth = element("input", {
      type: "range",
      min: "0",
      max: "0.95",
      step: "0.05",
      oninput: () => change({ smooth: Number(smooth.value) }),
    });
    const amount = element("output", {});
    const none = { type: "button", class: "daybook-button", onclick: () => change({ picked: [] }) };
    const row = element(
      "div",
      { class: "daybook-controls" },
      element("label", {}, "Metric ", metric),
      element("label", {}, "Over ", x),
      element("label", {}, "Smoothing ", smooth, " ", amount),
      element("button", none, "Clear selection"),
    );
    const sync = (state) => {
      metric.value = state.metric;
      x.value = state.x;
      smooth.value = state.smooth;
      amount.textContent = state.smooth;
    };
    return { row, sync };
  }

  // Only the fields of the recipe that differ, then the figures of the best epoch and of the last.
  function differences(rows, differing, figures, change) {
    const line = (name) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, model.label(name)),
        ...rows.map((row) => element("td", {}, model.format(name, row[name]))),
      );
    const section = (title, names, otherwise) => {
      const heading = { scope: "rowgroup", colspan: rows.length + 1, class: "section" };
      return element(
        "tbody",
        {},
        element("tr", {}, element("th", heading, title)),
        ...names.map(line),
        names.length ? null : element("tr", {}, element("td", heading, otherwise)),
      );
    };
    const heads = rows.map(({ id }) =>
      element(
        "th",
        { scope: "col" },
        element(
          "a",
          {
            href: `#run=${id}`,
            onclick: (event) => {
              event.preventDefault();
              change({ run: id });
            },
          },
          id,
        ),
        " ",
        element(
          "button",
          {
            type: "button",
            class: "daybook-button quiet",
            "aria-label": `Remove ${id} from the selection`,
            onclick: () => change({ unpick: id }),
          },
          "×",
        ),
      ),
    );
    const last = figures.filter((name) => name.startsWith("last_"));
    const best = figures.filter(
      (name) => /accuracy|loss|seconds|best_epoch/.test(name) && !last.includes(name),
    );
    const same = rows.length > 1 ? "The recipes are the same." : "Select a second run to compare.";
    return element(
      "table",
      { class: "daybook-table" },
      element("thead", {}, element("tr", {}, element("td", {}), ...heads)),
      section("Differences between the recipes", differing, same),
      section("At the best epoch", best, "–"),
      section("At the last epoch", last, "–"),
    );
  }
})(window.daybook);
