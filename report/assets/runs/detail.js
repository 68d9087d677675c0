// One run, in a dialog: recipe, results, dataset, hardware and software, curves.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const HEADLINE = ["test_accuracy", "val_accuracy", "best_epoch", "seconds"];
  // Two fields of a dataset are named like fields of a recipe.
  const DATASET_LABELS = {
    flip: "Flipped pictures keep their label",
    image_size: "Picture size (px)",
  };

  const SPLITS = { train: "training", val: "validation" };

  // Returns a function that shows a run; without a run it closes the dialog.
  daybook.runDetail = function (box, change) {
    const dialog = element("dialog", { class: "daybook-dialog", "aria-labelledby": "run-title" });
    box.append(dialog);
    dialog.addEventListener("close", () => change({ run: null }));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

    return async function show(run, row, selected) {
      if (!run) {
        dialog.close();
        return;
      }
      if (dialog.open && dialog.dataset.run === run.id) return;
      dialog.dataset.run = run.id;
      const views = ["accuracy", "loss"].map((kind) => [
        kind,
        element("div", {
          class: "daybook-view",
          style: "min-height: 260px",
          role: "group",
          "aria-label": `Training and validation ${kind} by epoch`,
        }),
      ]);
      const download = element("p", {});
      const select = () => {
        change({ select: run.id });
        dialog.close();
      };
      dialog.replaceChildren(
        element(
          "header",
          {},
          element("h2", { id: "run-title" }, `Run ${run.id}`),
          daybook.closeButton(dialog),
        ),
        element("p", { class: "headline" }, headline(row)),
        ...studies(row),
        selected
          ? element("p", {}, "This run is selected for comparison.")
          : element(
              "button",
              { type: "button", class: "daybook-button", onclick: select },
              "Select for comparison",
            ),
        ...views.map(([, view]) => view),
        download,
        element(
          "div",
          { class: "facts" },
          facts("Recipe", run.recipe),
          facts("Results", run.summary),
          facts("Dataset", run.dataset, DATASET_LABELS),
          facts("Hardware and software", run.environment),
        ),
      );
      if (!dialog.open) dialog.showModal();

      const history = await daybook.historyOf(run.id);
      download.append(
        daybook.downloadLink("History (CSV)", `${run.id}-history.csv`, () =>
          daybook.csv(asRows(history)),
        ),
      );
      for (const [kind, view] of views) {
        const series = Object.entries(SPLITS).map(([split, name]) => ({
          name,
          history: { epoch: history.epoch, [kind]: history[`${split}_${kind}`] },
        }));
        const settings = { metric: kind, x: "epoch", smooth: 0, height: 200 };
        await daybook.draw(view, model.curves(series, settings));
      }
    };
  };

  const headline = (row) =>
    HEADLINE.filter((name) => name in row)
      .map((name) => `${daybook.label(name)} ${model.format(name, row[name])}`)
      .join(" · ");

  const studies = (row) =>
    "study" in row
      ? [element("p", {}, `${daybook.label("study")}: ${model.format("study", row.study)}`)]
      : [];

  const asRows = (columns) =>
    columns.epoch.map((_, i) =>
      Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[i]])),
    );

  function facts(title, values, labels = {}) {
    const text = (name, value) =>
      value !== null && typeof value === "object"
        ? Object.entries(value)
            .map(([key, item]) => (Array.isArray(value) ? item : `${key} ${item}`))
            .join(", ")
        : model.format(name, value);
    const lines = Object.entries(values).map(([name, value]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, labels[name] ?? daybook.label(name)),
        element("td", {}, text(name, value)),
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
