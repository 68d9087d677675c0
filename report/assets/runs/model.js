// The data of the runs page: rows, filters, groups, differences, curves, the address.
// Nothing here touches the page.

(function (daybook) {
  "use strict";

  const model = (daybook.runsModel = {});

  // One row per run: its recipe's fields, then its figures. A figure with the name of a field of the
  // recipe (the precision asked for, and the one used) gets an ending. A recipe has the fields of its
  // own network alone, so a field may be missing from some rows.
  model.rows = function (runs) {
    return runs.map((run) => {
      const row = { id: run.id, dataset: run.dataset.name, ...run.recipe };
      for (const [name, value] of Object.entries(run.summary))
        row[name in row ? `${name}_used` : name] = value;
      row.words = Object.values(row).join(" ").toLowerCase();
      return row;
    });
  };

  // The recipe's fields and the figures, in their order, over all runs.
  model.fields = (runs) => ["dataset", ...new Set(runs.flatMap((run) => Object.keys(run.recipe)))];
  model.figures = function (rows, fields) {
    const names = new Set(rows.flatMap((row) => Object.keys(row)));
    for (const other of ["id", "words", ...fields]) names.delete(other);
    return [...names];
  };
  model.values = (rows, field) =>
    [...new Set(rows.map((row) => row[field]).filter((value) => value !== undefined))].sort(compare);
  model.varying = (rows, fields) =>
    fields.filter((field) => new Set(rows.map((row) => row[field])).size > 1);

  function compare(a, b) {
    return typeof a === "number" && typeof b === "number"
      ? a - b
      : String(a).localeCompare(String(b));
  }

  // Whether a row fits the search words (each somewhere in the row) and every filter.
  model.matches = function (row, { q, chosen, ranges }) {
    for (const word of q.toLowerCase().split(/\s+/)) if (!row.words.includes(word)) return false;
    for (const [field, values] of Object.entries(chosen)) {
      if (values.length && !values.includes(String(row[field]))) return false;
    }
    for (const [field, { min, max }] of Object.entries(ranges)) {
      if ((min !== null && !(row[field] >= min)) || (max !== null && !(row[field] <= max)))
        return false;
    }
    return true;
  };

  // Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
  const T95 = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16,
    2.145, 2.131, 2.12, 2.11, 2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052,
    2.048, 2.045, 2.042,
  ];

  // Mean of some numbers and half the width of its 95 % interval (null for a single number).
  model.interval = function (values) {
    const n = values.length;
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    if (n < 2) return { mean, half: null, n };
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
    return { mean, half: (T95[n - 2] ?? 1.96) * Math.sqrt(variance / n), n };
  };

  // A row for each recipe, its seeds put together: figures become means, half-widths beside them.
  model.group = function (rows, fields, figures) {
    const groups = new Map();
    const same = fields.filter((field) => field !== "seed");
    for (const row of rows) {
      const key = JSON.stringify(same.map((field) => row[field]));
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(row);
    }
    return [...groups.values()].map((members) => {
      const group = {
        id: members.map((row) => row.id).join("+"),
        members,
        seed: members.length,
        halves: {},
      };
      for (const field of same) group[field] = members[0][field];
      for (const figure of figures) {
        const numbers = members
          .map((row) => row[figure])
          .filter((value) => typeof value === "number");
        if (!numbers.length) continue;
        const { mean, half } = model.interval(numbers);
        group[figure] = mean;
        group.halves[figure] = half;
      }
      return group;
    });
  };

  // The fields in which some rows differ: those a comparison has to show.
  model.differing = (rows, fields) => (rows.length > 1 ? model.varying(rows, fields) : []);

  // What tells each run from the others beside it, for a legend.
  model.names = function (rows, differing) {
    const said = rows.map((row) =>
      differing
        .map((field) => (typeof row[field] === "string" ? row[field] : `${field} ${row[field]}`))
        .join(", "),
    );
    const alone = (name) => name && said.filter((other) => other === name).length === 1;
    return said.map((name, i) =>
      alone(name) ? name : [name, rows[i].id].filter(Boolean).join(", "),
    );
  };

  // Exponential smoothing without the pull towards the first value (as TensorBoard's).
  model.smooth = function (values, weight) {
    let last = 0;
    let seen = 0;
    return values.map((value) => {
      if (value === null) return null;
      last = last * weight + (1 - weight) * value;
      seen += 1;
      return last / (1 - weight ** seen);
    });
  };

  // Curves of one metric as a chart. series: [{ name, history }]; a smoothed line has the measured
  // one behind it, faint. Points, all but unseen, take the mouse.
  model.METRICS = [
    "val_accuracy",
    "train_accuracy",
    "val_loss",
    "train_loss",
    "lr",
    "images_per_second",
  ];
  model.AXES = { epoch: "epoch", seconds: "seconds of training" };

  model.curves = function (series, { metric, x, smooth, height = 320, narrow = false }) {
    const values = series.flatMap(({ name, history }) => {
      const smoothed = model.smooth(history[metric], smooth);
      return history[metric].map((measured, i) => ({
        run: name,
        [x]: history[x][i],
        measured,
        [metric]: smoothed[i],
      }));
    });
    const percent = /accuracy/.test(metric);
    const line = (field, opacity) => ({
      mark: { type: "line", strokeWidth: opacity < 1 ? 1 : 2 },
      encoding: {
        y: { field },
        opacity: { condition: { param: "shown", value: opacity }, value: 0.05 },
      },
    });
    const named = {
      ...line(metric, 1),
      params: [{ name: "shown", select: { type: "point", fields: ["run"] }, bind: "legend" }],
    };
    const points = {
      mark: { type: "point", filled: true, size: 40, opacity: 0.001 },
      encoding: {
        y: { field: metric },
        tooltip: [
          { field: "run" },
          { field: x, type: "quantitative", format: ".4~g" },
          {
            field: "measured",
            type: "quantitative",
            title: model.label(metric),
            format: percent ? ".1%" : ".4~g",
          },
        ],
      },
    };
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      data: { values },
      encoding: {
        x: {
          field: x,
          type: "quantitative",
          title: model.AXES[x],
          axis: { tickMinStep: 1 },
          scale: { zero: x === "seconds" },
        },
        y: {
          type: "quantitative",
          title: model.label(metric),
          scale: { zero: false },
          axis: percent ? { format: "%" } : {},
        },
        color: {
          field: "run",
          type: "nominal",
          sort: null,
          title: null,
          legend: { orient: "bottom", columns: narrow ? 1 : 2, labelLimit: narrow ? 280 : 500 },
        },
      },
      layer: smooth > 0 ? [line("measured", 0.3), named, points] : [named, points],
      width: "container",
      height,
      autosize: { type: "fit-x", contains: "padding" },
    };
  };

  // The view as the part of the address after "#", and back.

  model.start = () => ({
    q: "",
    chosen: {},
    ranges: {},
    columns: null,
    sort: { field: "test_accuracy", direction: "desc" },
    group: false,
    picked: [],
    metric: "val_accuracy",
    x: "epoch",
    smooth: 0,
    run: null,
  });

  model.encode = function (view) {
    const start = model.start();
    const words = new URLSearchParams();
    if (view.q) words.set("q", view.q);
    for (const [field, values] of Object.entries(view.chosen))
      for (const value of values) words.append(`is.${field}`, value);
    for (const [field, range] of Object.entries(view.ranges)) {
      for (const end of ["min", "max"])
        if (range[end] !== null) words.set(`${end}.${field}`, range[end]);
    }
    if (view.columns) words.set("columns", view.columns.join(","));
    const sort = (view.sort.direction === "desc" ? "-" : "") + view.sort.field;
    if (sort !== `-${start.sort.field}`) words.set("sort", sort);
    if (view.group) words.set("group", "recipe");
    if (view.picked.length) words.set("pick", view.picked.join(","));
    for (const name of ["metric", "x", "smooth"])
      if (view[name] !== start[name]) words.set(name, view[name]);
    if (view.run) words.set("run", view.run);
    return words.toString();
  };

  model.decode = function (hash) {
    const view = model.start();
    for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
      const [kind, field] = name.split(/\.(.*)/);
      if (kind === "is" && field) (view.chosen[field] ||= []).push(value);
      else if ((kind === "min" || kind === "max") && field && Number.isFinite(Number(value))) {
        view.ranges[field] = { min: null, max: null, ...view.ranges[field], [kind]: Number(value) };
      } else if (name === "columns") view.columns = value.split(",").filter(Boolean);
      else if (name === "sort")
        view.sort = {
          field: value.replace(/^-/, ""),
          direction: value.startsWith("-") ? "desc" : "asc",
        };
      else if (name === "group") view.group = true;
      else if (name === "pick") view.picked = value.split(",").filter(Boolean);
      else if (name === "smooth") view.smooth = Math.min(0.95, Math.max(0, Number(value) || 0));
      else if (name === "metric" && model.METRICS.includes(value)) view.metric = value;
      else if (name === "x" && value in model.AXES) view.x = value;
      else if (name === "q" || name === "run") view[name] = value;
    }
    return view;
  };

  // Values as a reader wants them.

  const LABELS = {
    val_accuracy: "validation accuracy",
    val_loss: "validation loss",
    train_accuracy: "training accuracy",
    train_loss: "training loss",
    last_val_accuracy: "last validation accuracy",
    last_val_loss: "last validation loss",
    test_low: "test accuracy, lower bound",
    test_high: "test accuracy, upper bound",
    test_accuracy_flip: "test accuracy with flips",
    seconds: "training time",
    images_per_second: "pictures per second",
    peak_memory_mib: "peak memory (MiB)",
    lr: "learning rate",
    muon_lr: "learning rate of Muon",
    bias_lr: "learning rate of biases (factor)",
  };
  model.label = (name) => LABELS[name] ?? name.replaceAll("_", " ");

  model.format = function (name, value) {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    if (/accuracy|test_low|test_high/.test(name)) return daybook.percent(value, 2);
    if (/seconds$/.test(name) && !/per/.test(name))
      return value < 100 ? `${value.toFixed(1)} s` : `${Math.round(value).toLocaleString("en")} s`;
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
  };
})(window.daybook);
