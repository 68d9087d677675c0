// The data of the runs page: rows, filters, groups, differences, curves, the address. Nothing here
// touches the page.

(function (daybook) {
  "use strict";

  const model = (daybook.runsModel = {});

  // One row per run: its studies, the fields of its recipe, then its results. A result with the name
  // of a field (the numerical precision in the recipe and the one used) has the ending "_used". A
  // recipe has the fields of its own network alone, so a row may lack a field.
  model.rows = function (runs) {
    const fields = new Set(model.fields(runs));
    const known = new Map(runs.map((run) => [`run:${run.id}`, run]));
    return runs.map((run) => {
      const study = fields.has("study") ? { study: studies(run) } : {};
      const row = { id: run.id, ...study, dataset: run.dataset.name, ...run.recipe };
      for (const [name, value] of Object.entries(run.summary))
        row[fields.has(name) ? `${name}_used` : name] = value;
      row.fingerprint = run.dataset.fingerprint;
      row.origin = origin(run.recipe.weights, known);
      return row;
    });
  };

  // What a search finds a row by: its values and their names, put together at the first search.
  function words(row) {
    if (row.words === undefined) {
      const shown = Object.entries(row).filter(([name]) => !model.HIDDEN.includes(name));
      const values = shown.flatMap(([name, value]) => [value, daybook.valueName(name, value)]);
      row.words = values.join(" ").toLowerCase();
    }
    return row.words;
  }

  // Where the weights come from, without the seed of a pretraining: runs that start from several
  // networks, another one for each seed, have one setting.
  function origin(weights, known) {
    const before = known.get(weights);
    if (!before) return weights ?? null;
    return JSON.stringify([before.dataset.fingerprint, { ...before.recipe, seed: 0 }]);
  }

  // The studies that use a run, as text; its pictures may be earlier ones of a study.
  const studies = ({ studies = [], earlier = [] }) => [
    ...studies,
    ...earlier.map((name) => `${name} (earlier pictures)`),
  ];

  // The fields of all recipes; one that only some recipes have comes after its neighbour there. The
  // study is a field where there are several, or earlier pictures of one.
  model.fields = function (runs) {
    const several = new Set(runs.flatMap(studies)).size > 1;
    const earlier = runs.some((run) => run.earlier?.length);
    const fields = several || earlier ? ["study", "dataset"] : ["dataset"];
    const known = new Set(fields);
    for (const { recipe } of runs) {
      let before = "dataset";
      for (const name of Object.keys(recipe)) {
        if (!known.has(name)) fields.splice(fields.indexOf(before) + 1, 0, name);
        known.add(name);
        before = name;
      }
    }
    return fields;
  };

  // The results of all runs, in their order.
  model.results = function (rows, fields) {
    const names = new Set(rows.flatMap((row) => Object.keys(row)));
    for (const other of ["id", ...model.HIDDEN, ...fields]) names.delete(other);
    return [...names];
  };

  model.HIDDEN = ["words", "fingerprint", "origin"]; // of a row: what the page uses and does not show

  const isGap = (value) => value === null || value === undefined || value.length === 0;

  // The distinct values of a field in ascending order, without gaps; each of a list is a value.
  model.values = (rows, field) => [...someValues(rows, field)].sort(compare);
  model.hasGaps = (rows, field) => rows.some((row) => isGap(row[field]));
  // The fields with more than one value; a gap is no value.
  model.varying = (rows, fields) => fields.filter((field) => someValues(rows, field, 2).size > 1);

  // The first values of a field, without gaps; as many as are wanted.
  function someValues(rows, field, wanted = Infinity) {
    const found = new Set();
    for (const row of rows) {
      for (const value of Array.isArray(row[field]) ? row[field] : [row[field]])
        if (!isGap(value)) found.add(value);
      if (found.size >= wanted) break;
    }
    return found;
  }

  // The rows by network.
  function networks(rows) {
    const found = new Map();
    for (const row of rows) {
      if (!found.has(row.model)) found.set(row.model, []);
      found.get(row.model).push(row);
    }
    return found;
  }

  // The fields in which runs of one network differ, and the network where there are several. The
  // other fields say nothing more, because all runs or all of a network have the same value.
  model.telling = function (rows, fields) {
    const parts = [...networks(rows).values()];
    const tells = (field) => parts.some((part) => someValues(part, field, 2).size > 1);
    return fields.filter((field) => tells(field) || (field === "model" && parts.length > 1));
  };

  // What the other fields are, as [{ network, fields }]: those of all runs, whose network is null,
  // then of each network those that no other has, or has with another value.
  model.constant = function (rows, fields) {
    const telling = new Set(model.telling(rows, fields));
    const rest = fields.filter((field) => !telling.has(field));
    const everywhere = rest.filter(
      (field) => someValues(rows, field, 2).size === 1 && !model.hasGaps(rows, field),
    );
    const others = rest.filter((field) => !everywhere.includes(field));
    return [
      { network: null, row: rows[0], fields: everywhere },
      ...[...networks(rows)].map(([network, part]) => {
        const own = others.filter((field) => someValues(part, field, 1).size);
        const whole = part.find((row) => own.every((field) => !isGap(row[field])));
        return { network, row: whole ?? part[0], fields: own };
      }),
    ].filter((entry) => entry.fields.length);
  };

  const { compare: inAlphabet } = new Intl.Collator();
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : inAlphabet(String(a), String(b));

  // Tabulator's sorter of every column: gaps, which it passes as "", come last in both directions.
  model.sorter = function (a, b, rowA, rowB, column, direction) {
    const [emptyA, emptyB] = [a, b].map((value) => Number(model.key(value) === ""));
    if (emptyA || emptyB) return (emptyA - emptyB) * (direction === "desc" ? -1 : 1);
    return compare(a, b);
  };

  // A value in a filter and in the address; a gap is the empty string.
  model.key = (value) => (isGap(value) ? "" : Array.isArray(value) ? value.join("; ") : `${value}`);
  const keys = (value) =>
    Array.isArray(value) && value.length ? value.map(model.key) : [model.key(value)];

  // Whether a row contains every search word and passes every filter.
  model.matches = function (row, { q, allowed, ranges }) {
    const wanted = q.toLowerCase().split(/\s+/).filter(Boolean);
    for (const word of wanted) if (!words(row).includes(word)) return false;
    for (const [field, values] of Object.entries(allowed)) {
      if (values.length && !keys(row[field]).some((key) => values.includes(key))) return false;
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

  // Mean of some numbers and how far it is known: half the width of its 95 % interval; of two numbers
  // their range, because an interval from two says next to nothing; of one neither.
  model.spread = function (values) {
    const n = values.length;
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    if (n < 2) return { mean };
    if (n === 2) return { mean, range: [Math.min(...values), Math.max(...values)] };
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
    return { mean, half: (T95[n - 2] ?? 1.96) * Math.sqrt(variance / n) };
  };

  // One row per setting: means of the results over its seeds, with their spreads. Datasets of the
  // same name are kept apart by what they contain.
  model.group = function (rows, fields, results) {
    const groups = new Map();
    const same = fields.filter((field) => field !== "seed" && field !== "study");
    for (const row of rows) {
      const values = same.map((field) => row[field === "weights" ? "origin" : field] ?? null);
      const key = JSON.stringify([row.fingerprint, ...values]);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(row);
    }
    return [...groups.values()].map((members) => {
      const group = {
        id: members.map((row) => row.id).join("+"),
        members,
        seed: members.length,
        spreads: {},
      };
      if (fields.includes("study")) group.study = model.values(members, "study");
      for (const field of same) group[field] = members[0][field];
      const networks = model.values(members, "weights");
      if (networks.length > 1) group.weights = networks;
      for (const result of results) {
        const numbers = members
          .map((row) => row[result])
          .filter((value) => typeof value === "number");
        if (!numbers.length) continue;
        group.spreads[result] = model.spread(numbers);
        group[result] = group.spreads[result].mean;
      }
      return group;
    });
  };

  // The fields in which some rows differ, a gap in only some of them included.
  model.differing = (rows, fields) =>
    fields.filter((field) => new Set(rows.map((row) => model.key(row[field]))).size > 1);

  // A name for each run, for a legend: the values of the first fields that distinguish the runs.
  model.names = function (rows, fields) {
    let names = rows.map(() => []);
    const distinct = (lists) => new Set(lists.map((list) => list.join(", "))).size;
    for (const field of model.varying(rows, fields)) {
      const longer = names.map((list, i) => [...list, ...valueName(field, rows[i][field])]);
      if (distinct(longer) > distinct(names)) names = longer;
    }
    const texts = names.map((list) => list.join(", "));
    const unique = (text) => text && texts.filter((other) => other === text).length === 1;
    return texts.map((text, i) =>
      unique(text) ? text : [text, rows[i].id].filter(Boolean).join(", "),
    );
  };

  // A value with its field's name where the value does not say it; nothing for a gap.
  function valueName(field, value) {
    if (isGap(value)) return [];
    const text = model.format(field, value);
    return [typeof value === "string" ? text : `${daybook.term(field)} ${text}`];
  }

  // Exponential smoothing with bias correction, as in TensorBoard.
  model.smooth = function (values, weight) {
    let last = 0;
    let count = 0;
    return values.map((value) => {
      if (value === null) return null;
      last = last * weight + (1 - weight) * value;
      count += 1;
      return last / (1 - weight ** count);
    });
  };

  // Curves of one metric as a chart. series: [{ name, history }]. A faint line behind a smoothed
  // one shows the measured values; nearly transparent points carry the tooltips.
  model.METRICS = [
    "val_accuracy",
    "train_accuracy",
    "val_loss",
    "train_loss",
    "lr",
    "images_per_second",
  ];
  model.AXES = { epoch: "Epoch", seconds: "Training time (s)" };

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
        opacity: { condition: { param: "visible", value: opacity }, value: 0.05 },
      },
    });
    const main = {
      ...line(metric, 1),
      params: [{ name: "visible", select: { type: "point", fields: ["run"] }, bind: "legend" }],
    };
    const points = {
      mark: { type: "point", filled: true, size: 40, opacity: 0.001 },
      encoding: {
        y: { field: metric },
        tooltip: [
          { field: "run", title: "Run" },
          { field: x, type: "quantitative", title: model.AXES[x], format: ".4~g" },
          {
            field: "measured",
            type: "quantitative",
            title: daybook.label(metric),
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
          title: daybook.label(metric),
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
      layer: smooth > 0 ? [line("measured", 0.3), main, points] : [main, points],
      width: "container",
      height,
      autosize: { type: "fit-x", contains: "padding" },
    };
  };

  // The view as the part of the address after "#", and back.

  model.start = () => ({
    q: "",
    allowed: {},
    ranges: {},
    columns: null,
    sort: { field: "test_accuracy", direction: "desc" },
    group: false,
    selected: [],
    metric: "val_accuracy",
    x: "epoch",
    smooth: 0,
    run: null,
  });

  model.encode = function (view) {
    const start = model.start();
    const words = new URLSearchParams();
    if (view.q) words.set("q", view.q);
    for (const [field, values] of Object.entries(view.allowed))
      for (const value of values) words.append(field === "study" ? field : `is.${field}`, value);
    for (const [field, range] of Object.entries(view.ranges)) {
      for (const end of ["min", "max"])
        if (range[end] !== null) words.set(`${end}.${field}`, range[end]);
    }
    if (view.columns) words.set("columns", view.columns.join(","));
    const sort = (view.sort.direction === "desc" ? "-" : "") + view.sort.field;
    if (sort !== `-${start.sort.field}`) words.set("sort", sort);
    if (view.group) words.set("group", "recipe");
    if (view.selected.length) words.set("pick", view.selected.join(","));
    for (const name of ["metric", "x", "smooth"])
      if (view[name] !== start[name]) words.set(name, view[name]);
    if (view.run) words.set("run", view.run);
    return words.toString();
  };

  model.decode = function (hash) {
    const view = model.start();
    for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
      const [kind, field] = name.split(/\.(.*)/);
      if (kind === "is" && field) (view.allowed[field] ||= []).push(value);
      else if ((kind === "min" || kind === "max") && field && Number.isFinite(Number(value))) {
        view.ranges[field] = { min: null, max: null, ...view.ranges[field], [kind]: Number(value) };
      } else if (name === "study") (view.allowed.study ||= []).push(value);
      else if (name === "columns") view.columns = value.split(",").filter(Boolean);
      else if (name === "sort")
        view.sort = {
          field: value.replace(/^-/, ""),
          direction: value.startsWith("-") ? "desc" : "asc",
        };
      else if (name === "group") view.group = true;
      else if (name === "pick") view.selected = value.split(",").filter(Boolean);
      else if (name === "smooth") view.smooth = Math.min(0.95, Math.max(0, Number(value) || 0));
      else if (name === "metric" && model.METRICS.includes(value)) view.metric = value;
      else if (name === "x" && value in model.AXES) view.x = value;
      else if (name === "q" || name === "run") view[name] = value;
    }
    return view;
  };

  // Values as text.

  model.format = function (name, value) {
    if (isGap(value)) return "–";
    const text = daybook.valueName(name, value);
    if (text !== undefined) return text;
    if (/accuracy|test_low|test_high/.test(name)) return daybook.percent(value, 2);
    if (/seconds$/.test(name) && !/per/.test(name))
      return value < 100 ? `${value.toFixed(1)} s` : `${Math.round(value).toLocaleString("en")} s`;
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
  };
})(window.daybook);
