// The selected runs side by side: their curves in one chart, and the fields that differ.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const HINT = "Select runs in the table to compare their curves and recipes.";

  // A run's history, by column, from its own file.
  daybook.historyOf = async function (id) {
    await daybook.load(new URL(`generated/history/${encodeURIComponent(id)}.js`, daybook.assets));
    return daybook.histories[id];
  };

  // Fills the section under the table; returns a function that shows `rows` there. `change`
  // receives the reader's changes of the view.
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
    let latest = "";

    return async function show(rows, state, fields, results) {
      box.classList.toggle("empty", rows.length === 0);
      const differing = model.differing(rows, fields);
      controls.sync(state);
      table.replaceChildren(differences(rows, differing, results, change));
      const ids = rows.map(({ id }) => id);
      const request = JSON.stringify([ids, state.metric, state.x, state.smooth]);
      if (!rows.length || request === latest) return;
      latest = request;
      const names = model.names(rows, fields);
      const histories = await Promise.all(rows.map(({ id }) => daybook.historyOf(id)));
      // The selection has changed while the histories were loading.
      if (request !== latest) return;
      const series = names.map((name, i) => ({ name, history: histories[i] }));
      await daybook.draw(view, model.curves(series, { ...state, narrow: box.clientWidth < 600 }));
    };
  };

  function controlRow(change) {
    const dropdown = (name, choices) =>
      element(
        "select",
        { onchange: (event) => change({ [name]: event.target.value }) },
        ...choices.map((choice) => element("option", { value: choice }, daybook.label(choice))),
      );
    const metric = dropdown("metric", model.METRICS);
    const x = dropdown("x", Object.keys(model.AXES));
    const smooth = element("input", {
      type: "range",
      min: "0",
      max: "0.95",
      step: "0.05",
      oninput: () => change({ smooth: Number(smooth.value) }),
    });
    const amount = element("output", {});
    const clear = {
      type: "button",
      class: "daybook-button",
      onclick: () => change({ selected: [] }),
    };
    const row = element(
      "div",
      { class: "daybook-controls" },
      element("label", {}, "Metric ", metric),
      element("label", {}, "x axis ", x),
      element("label", {}, "Smoothing ", smooth, " ", amount),
      element("button", clear, "Clear selection"),
    );
    const sync = (state) => {
      metric.value = state.metric;
      x.value = state.x;
      smooth.value = state.smooth;
      amount.textContent = state.smooth;
    };
    return { row, sync };
  }

  // The fields of the recipe that differ, then the results at the best epoch and at the last one.
  function differences(rows, differing, results, change) {
    const line = (name) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, daybook.label(name.replace("last_", ""))),
        ...rows.map((row) => element("td", {}, model.format(name, row[name]))),
      );
    const section = (title, names, placeholder) => {
      const heading = { scope: "rowgroup", colspan: rows.length + 1, class: "section" };
      return element(
        "tbody",
        {},
        element("tr", {}, element("th", heading, title)),
        ...names.map(line),
        names.length ? null : element("tr", {}, element("td", heading, placeholder)),
      );
    };
    const heads = rows.map(({ id }) =>
      element(
        "th",
        { scope: "col" },
        element(
          "a",
          {
            href: `#run=${encodeURIComponent(id)}`,
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
            "aria-label": `Remove run ${id} from the selection`,
            onclick: () => change({ deselect: id }),
          },
          "×",
        ),
      ),
    );
    const last = results.filter((name) => name.startsWith("last_"));
    const best = results.filter(
      (name) => /accuracy|loss|seconds|best_epoch/.test(name) && !last.includes(name),
    );
    const same = rows.length > 1 ? "The recipes are the same." : "Select a second run to compare.";
    return element(
      "table",
      { class: "daybook-table" },
      element("thead", {}, element("tr", {}, element("td", {}), ...heads)),
      section("Recipe fields that differ", differing, same),
      section("At the best epoch", best, "–"),
      section("At the last epoch", last, "–"),
    );
  }
})(window.daybook);
