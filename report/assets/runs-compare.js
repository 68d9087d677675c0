// Looking closer: the picked runs side by side, and one run alone.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const METRICS = [
    "val_accuracy",
    "train_accuracy",
    "val_loss",
    "train_loss",
    "lr",
    "images_per_second",
  ];

  // The run's history, by column, from its own file.
  daybook.historyOf = async function (id) {
    await daybook.load(new URL(`generated/history/${id}.js`, daybook.assets));
    return daybook.histories[id];
  };

  // Runs' curves of one metric as a chart.
  // series: [{name, history}]; a smoothed line has the measured one behind it, faint.
  function curves(series, { metric, x, smooth }) {
    const values = series.flatMap(({ name, history }) => {
      const smoothed = model.smooth(history[metric], smooth);
      return history[metric].map((measured, i) => ({
        run: name,
        [x]: history[x][i],
        measured,
        [metric]: smoothed[i],
      }));
    });
    const per = /accuracy/.test(metric) ? { format: ".1%" } : {};
    const encoding = (field) => ({
      x: {
        field: x,
        type: "quantitative",
        title: x === "seconds" ? "seconds of training" : "epoch",
        axis: { tickMinStep: 1 },
        scale: { zero: x === "seconds" },
      },
      y: {
        field,
        type: "quantitative",
        title: model.label(metric),
        scale: { zero: false },
        axis: { ...(per.format ? { format: "%" } : {}) },
      },
      color: {
        field: "run",
        type: "nominal",
        sort: null,
        title: null,
        legend: { orient: "bottom", columns: 2, labelLimit: 500 },
      },
      opacity: {
        condition: { param: "shown", value: field === "measured" ? 0.3 : 1 },
        value: 0.05,
      },
      tooltip: [
        { field: "run" },
        { field: x, type: "quantitative", format: ".4~g" },
        { field: "measured", type: "quantitative", title: model.label(metric), ...per },
      ],
    });
    const line = { mark: { type: "line" }, encoding: encoding(metric) };
    const points = {
      mark: { type: "point", filled: true, size: 40, opacity: 0.001 },
      encoding: encoding(metric),
    };
    delete points.encoding.opacity;
    const behind = { mark: { type: "line", strokeWidth: 1 }, encoding: encoding("measured") };
    line.params = [{ name: "shown", select: { type: "point", fields: ["run"] }, bind: "legend" }];
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      data: { values },
      layer: smooth > 0 ? [behind, line, points] : [line, points],
      width: "container",
      height: 320,
      autosize: { type: "fit-x", contains: "padding" },
    };
  }

  // A drop-down of named choices.
  function chooser(label, choices, chosen, change) {
    const options = choices.map((name) =>
      element("option", { value: name, selected: name === chosen }, model.label(name)),
    );
    return element(
      "label",
      {},
      `${label} `,
      element("select", { onchange: (event) => change(event.target.value) }, ...options),
    );
  }

  // The section under the table. `change` is told what of the view the reader changes here.
  daybook.comparison = function (box, change) {
    const controls = element("div", { class: "daybook-controls" });
    const view = element("div", {
      class: "daybook-view",
      style: "min-height: 380px",
      role: "group",
      "aria-label": "Curves of the picked runs",
    });
    const table = element("div", {
      class: "daybook-scroll",
      tabindex: "0",
      role: "group",
      "aria-label": "What differs between the picked runs",
    });
    box.append(
      element("h2", {}, "Compare"),
      element(
        "p",
        { class: "runs-hint" },
        "Pick runs in the table to lay their curves over one another and see in what their recipes differ.",
      ),
      controls,
      view,
      table,
    );
    let drawn = "";

    return async function show(rows, state, fields, figures) {
      box.classList.toggle("empty", rows.length === 0);
      if (!rows.length) {
        drawn = "";
        return;
      }
      const differing = model.differing(rows, fields);
      fillControls(controls, state, change);
      fillTable(table, rows, differing, figures, change);
      // A newer choice overtakes an older one that is still loading.
      const wanted = JSON.stringify([
        rows.map((row) => row.id),
        state.metric,
        state.x,
        state.smooth,
      ]);
      if (wanted === drawn) return;
      drawn = wanted;
      const series = await Promise.all(
        rows.map(async (row) => ({
          name: model.name(row, differing),
          history: await daybook.historyOf(row.id),
        })),
      );
      if (wanted === drawn) await daybook.draw(view, curves(series, state));
    };
  };

  function fillControls(box, state, change) {
    if (box.dataset.shown === `${state.metric} ${state.x}`) return; // the slider keeps the focus
    box.dataset.shown = `${state.metric} ${state.x}`;
    const shown = element("output", {}, String(state.smooth));
    const slider = element("input", {
      type: "range",
      min: "0",
      max: "0.95",
      step: "0.05",
      value: state.smooth,
      oninput: (event) => {
        shown.textContent = event.target.value;
        change({ smooth: Number(event.target.value) });
      },
    });
    box.replaceChildren(
      chooser("Metric", METRICS, state.metric, (metric) => change({ metric })),
      chooser("Over", ["epoch", "seconds"], state.x, (x) => change({ x })),
      element("label", {}, "Smoothing ", slider, " ", shown),
      element(
        "button",
        { type: "button", class: "daybook-button", onclick: () => change({ picked: [] }) },
        "Unpick all",
      ),
    );
  }

  function fillTable(box, rows, differing, figures, change) {
    const line = (name, heading) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, model.label(heading || name)),
        ...rows.map((row) => element("td", {}, model.format(name, row[name]))),
      );
    const section = (title, lines) =>
      lines.length &&
      element(
        "tbody",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "rowgroup", colspan: rows.length + 1, class: "section" }, title),
        ),
        ...lines,
      );
    const heads = rows.map((row) =>
      element(
        "th",
        { scope: "col" },
        element(
          "a",
          {
            href: `#run=${row.id}`,
            onclick: (event) => {
              event.preventDefault();
              change({ run: row.id });
            },
          },
          row.id,
        ),
        " ",
        element(
          "button",
          {
            type: "button",
            class: "daybook-button quiet",
            "aria-label": `Unpick ${row.id}`,
            onclick: () => change({ unpick: row.id }),
          },
          "×",
        ),
      ),
    );
    const best = figures.filter(
      (name) => !name.startsWith("last_") && /accuracy|loss|seconds|best_epoch/.test(name),
    );
    const last = figures.filter((name) => name.startsWith("last_"));
    const recipe = differing.length
      ? differing.map((name) => line(name))
      : [
          element(
            "tr",
            {},
            element(
              "td",
              { colspan: rows.length + 1 },
              rows.length > 1
                ? "The recipes are the same."
                : "Pick a second run to see what differs.",
            ),
          ),
        ];
    box.replaceChildren(
      element(
        "table",
        { class: "daybook-table" },
        element("thead", {}, element("tr", {}, element("td", {}), ...heads)),
        ...[
          section("Recipe, where it differs", recipe),
          section(
            "At the best epoch",
            best.map((name) => line(name)),
          ),
          section(
            "At the last epoch",
            last.map((name) => line(name)),
          ),
        ].filter(Boolean),
      ),
    );
  }

  // One run, in a dialog: what was asked, on what, where, and what came of it.
  daybook.runDetail = function (box, change) {
    const dialog = element("dialog", { class: "daybook-dialog", "aria-labelledby": "run-title" });
    box.append(dialog);
    dialog.addEventListener("close", () => change({ run: null }));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

    return async function show(run, row, picked) {
      if (!run) {
        if (dialog.open) dialog.close();
        return;
      }
      if (dialog.open && dialog.dataset.run === run.id) return;
      dialog.dataset.run = run.id;
      const views = ["accuracy", "loss"].map((kind) =>
        element("div", {
          class: "daybook-view",
          style: "min-height: 300px",
          role: "group",
          "aria-label": `Curves of ${kind}`,
        }),
      );
      const history = element("p", {});
      dialog.replaceChildren(
        element(
          "header",
          {},
          element("h2", { id: "run-title" }, `Run ${run.id}`),
          element(
            "button",
            {
              type: "button",
              class: "daybook-button quiet",
              "aria-label": "Close",
              onclick: () => dialog.close(),
            },
            "×",
          ),
        ),
        element(
          "p",
          { class: "figures" },
          ["test_accuracy", "val_accuracy", "best_epoch", "seconds"]
            .filter((name) => name in row)
            .map((name) => `${model.label(name)} ${model.format(name, row[name])}`)
            .join(" · "),
        ),
        element(
          "button",
          {
            type: "button",
            class: "daybook-button",
            onclick: () => {
              change({ pick: run.id });
              dialog.close();
            },
          },
          picked ? "Is picked for comparison" : "Pick for comparison",
        ),
        ...views,
        history,
        element(
          "div",
          { class: "facts" },
          facts("Recipe", run.recipe),
          facts("Figures", run.summary),
          facts("Dataset", run.dataset),
          facts("Environment", run.environment),
        ),
      );
      dialog.showModal();
      const columns = await daybook.historyOf(run.id);
      const table = columns.epoch.map((_, i) =>
        Object.fromEntries(Object.keys(columns).map((name) => [name, columns[name][i]])),
      );
      history.append(
        daybook.downloadLink("History (CSV)", `${run.id}-history.csv`, () => daybook.csv(table)),
      );
      for (const [i, kind] of ["accuracy", "loss"].entries()) {
        const both = ["train", "val"].map((split) => ({
          name: split,
          history: { epoch: columns.epoch, [kind]: columns[`${split}_${kind}`] },
        }));
        await daybook.draw(views[i], {
          ...curves(both, { metric: kind, x: "epoch", smooth: 0 }),
          height: 200,
        });
      }
    };
  };

  function facts(title, values) {
    const lines = Object.entries(values).map(([name, value]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, model.label(name)),
        element(
          "td",
          {},
          value !== null && typeof value === "object"
            ? Object.values(value).join(", ")
            : model.format(name, value),
        ),
      ),
    );
    return element(
      "section",
      {},
      element("h3", {}, title),
      element("table", { class: "daybook-table" }, element("tbody", {}, ...lines)),
    );
  }
})(window.daybook);
