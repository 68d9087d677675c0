// One run, in a dialog: what was asked, of which pictures, on what machine, and what came of it.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const HEADLINE = ["test_accuracy", "val_accuracy", "best_epoch", "seconds"];

  // Returns what shows a run, or closes the dialog when there is none to show.
  daybook.runDetail = function (box, change) {
    const dialog = element("dialog", { class: "daybook-dialog", "aria-labelledby": "run-title" });
    box.append(dialog);
    dialog.addEventListener("close", () => change({ run: null }));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

    return async function show(run, row, picked) {
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
          "aria-label": `Curves of ${kind}`,
        }),
      ]);
      const download = element("p", {});
      const pick = () => {
        change({ pick: run.id });
        dialog.close();
      };
      dialog.replaceChildren(
        element(
          "header",
          {},
          element("h2", { id: "run-title" }, `Run ${run.id}`),
          daybook.closeButton(dialog),
        ),
        element("p", { class: "figures" }, headline(row)),
        picked
          ? element("p", {}, "Selected for comparison.")
          : element(
              "button",
              { type: "button", class: "daybook-button", onclick: pick },
              "Select for comparison",
            ),
        ...views.map(([, view]) => view),
        download,
        element(
          "div",
          { class: "facts" },
          facts("Recipe", run.recipe),
          facts("Figures", run.summary),
          facts("Dataset", run.dataset),
          facts("Environment", run.environment),
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
        const series = ["train", "val"].map((split) => ({
          name: split,
          history: { epoch: history.epoch, [kind]: history[`${split}_${kind}`] },
        }));
        const settings = { metric: kind, x: "epoch", smooth: 0, height: 200 };
        await daybook.draw(view, model.curves(series, settings));
      }
    };
  };

  const headline = (row) =>
    HEADLINE.filter((name) => name in row)
      .map((name) => `${model.label(name)} ${model.format(name, row[name])}`)
      .join(" · ");

  const asRows = (columns) =>
    columns.epoch.map((_, i) =>
      Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[i]])),
    );

  function facts(title, values) {
    const said = (name, value) =>
      value !== null && typeof value === "object"
        ? Object.entries(value)
            .map(([key, item]) => (Array.isArray(value) ? item : `${key} ${item}`))
            .join(", ")
        : model.format(name, value);
    const lines = Object.entries(values).map(([name, value]) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, model.label(name)),
        element("td", {}, said(name, value)),
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
