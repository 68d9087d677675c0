// The runs page: one table of all runs, by Tabulator, and what the reader makes of it.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const box = document.getElementById("daybook-runs");
  const runs = daybook.runs || [];
  if (!runs.length) {
    box.textContent = "There are no finished runs yet; python -m analysis trains them.";
    return;
  }

  const rows = model.rows(runs);
  const fields = model.fields(runs);
  const LEADING = ["test_accuracy", "val_accuracy", "last_val_accuracy", "best_epoch", "seconds"];
  const found = model.figures(rows, fields);
  const figures = [
    ...LEADING.filter((name) => found.includes(name)),
    ...found.filter((name) => !LEADING.includes(name)),
  ];
  const varying = model.varying(rows, fields);
  const rowOf = new Map(rows.map((row) => [row.id, row]));
  const FIRST = [...varying, ...LEADING];
  // What a run reached stands beside its name, in view on a phone too; then how, then the rest.
  const ORDER = [...figures.slice(0, 2), ...fields, ...figures.slice(2)];

  let view = model.decode(location.hash);
  const visible = () => rows.filter((row) => model.matches(row, view));

  // The page

  const search = element("input", {
    type: "search",
    placeholder: "Search",
    "aria-label": "Search runs",
  });
  const group = element("input", { type: "checkbox" });
  const count = element("span", { class: "count", role: "status" });
  const filters = element("div", { class: "panel" });
  const columns = element("div", { class: "panel" });
  const grid = element("div", { class: "runs-table" });
  const compareBox = element("section", { class: "runs-compare" });
  const downloads = element(
    "div",
    { class: "panel list" },
    daybook.downloadLink("The rows shown (CSV)", "runs-shown.csv", () =>
      daybook.csv(visible().map(({ words, ...row }) => row)),
    ),
    ...["runs.csv", "histories.csv", "runs.json"].map((name) =>
      element(
        "a",
        { href: new URL(`generated/${name}`, daybook.assets), download: name },
        {
          "runs.csv": "All runs (CSV)",
          "histories.csv": "All histories (CSV)",
          "runs.json": "Everything (JSON)",
        }[name],
      ),
    ),
  );
  box.replaceChildren(
    element(
      "div",
      { class: "daybook-controls" },
      search,
      element("label", {}, group, " Group by recipe"),
      panel("Filters", filters),
      panel("Columns", columns),
      panel("Download", downloads),
      count,
    ),
    grid,
    compareBox,
  );

  // A panel that drops from its button and closes when one clicks elsewhere or presses Escape.
  function panel(title, content) {
    const details = element(
      "details",
      { class: "dropdown-panel" },
      element("summary", {}, title),
      content,
    );
    document.addEventListener("click", (event) => {
      if (!details.contains(event.target)) details.open = false;
    });
    details.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        details.open = false;
        details.querySelector("summary").focus();
      }
    });
    return details;
  }

  // A filter for every field in which runs differ: its values to tick, or a range where they are many.
  const FEW = 12;
  function fillFilters() {
    const same = fields.filter((field) => !varying.includes(field));
    filters.replaceChildren(
      element(
        "button",
        {
          type: "button",
          class: "daybook-button",
          onclick: () => change({ q: "", chosen: {}, ranges: {} }),
        },
        "Clear",
      ),
      ...varying.map((field) => {
        const values = model.values(rows, field);
        return element(
          "fieldset",
          {},
          element("legend", {}, model.label(field)),
          ...(values.length <= FEW || typeof values[0] !== "number"
            ? values.map((value) => tick(field, String(value)))
            : range(field, values)),
        );
      }),
      same.length
        ? element(
            "p",
            { class: "quiet" },
            `The same in all runs: ${same.map((field) => `${model.label(field)} ${rows[0][field]}`).join(", ")}.`,
          )
        : null,
    );
  }

  function tick(field, value) {
    const chosen = view.chosen[field] || [];
    const input = element("input", {
      type: "checkbox",
      checked: chosen.includes(value),
      onchange: (event) => {
        const kept = (view.chosen[field] || []).filter((other) => other !== value);
        change({
          chosen: { ...view.chosen, [field]: event.target.checked ? [...kept, value] : kept },
        });
      },
    });
    return element("label", {}, input, ` ${value}`);
  }

  function range(field, values) {
    return ["min", "max"].map((end) =>
      element(
        "label",
        {},
        end === "min" ? "from " : "to ",
        element("input", {
          type: "number",
          step: "any",
          value: view.ranges[field]?.[end],
          placeholder: end === "min" ? values[0] : values.at(-1),
          onchange: (event) => {
            const number = event.target.value === "" ? null : Number(event.target.value);
            change({
              ranges: {
                ...view.ranges,
                [field]: { min: null, max: null, ...view.ranges[field], [end]: number },
              },
            });
          },
        }),
      ),
    );
  }

  const shownColumns = () => view.columns || FIRST;
  function fillColumns() {
    const choice = (name) =>
      element(
        "label",
        {},
        element("input", {
          type: "checkbox",
          checked: shownColumns().includes(name),
          onchange: (event) => {
            const all = [...fields, ...figures];
            change({
              columns: all.filter((other) =>
                other === name ? event.target.checked : shownColumns().includes(other),
              ),
            });
          },
        }),
        ` ${model.label(name)}`,
      );
    columns.replaceChildren(
      element(
        "button",
        { type: "button", class: "daybook-button", onclick: () => change({ columns: null }) },
        "As at first",
      ),
      element("fieldset", {}, element("legend", {}, "Recipe"), ...fields.map(choice)),
      element("fieldset", {}, element("legend", {}, "Figures"), ...figures.map(choice)),
    );
  }

  // The table

  const picked = (row) => (row.members || [row]).every((member) => view.picked.includes(member.id));

  function pickCell(cell) {
    const row = cell.getData();
    const name = row.members ? `the ${row.members.length} runs of this recipe` : `run ${row.id}`;
    return element("input", {
      type: "checkbox",
      checked: picked(row),
      "aria-label": `Pick ${name}`,
      onchange: (event) => {
        const ids = (row.members || [row]).map((member) => member.id);
        const others = view.picked.filter((id) => !ids.includes(id));
        change({ picked: event.target.checked ? [...others, ...ids] : others });
      },
    });
  }

  function nameCell(cell) {
    const row = cell.getData();
    if (row.members) return `${row.members.length} run${row.members.length > 1 ? "s" : ""}`;
    return element(
      "a",
      {
        href: `#run=${row.id}`,
        onclick: (event) => {
          event.preventDefault();
          change({ run: row.id });
        },
      },
      row.id,
    );
  }

  function valueCell(cell) {
    const name = cell.getField();
    const row = cell.getData();
    if (row.members && name === "seed")
      return `${row.members.length} seed${row.members.length > 1 ? "s" : ""}`;
    const half = row.halves?.[name];
    const text = model.format(name, cell.getValue());
    if (half !== null && half !== undefined)
      return `${text} ± ${model.format(name, Number(half.toPrecision(2)))}`;
    if (name !== "test_accuracy" || row.members || row.test_low === undefined) return text;
    const interval = `${(100 * row.test_low).toFixed(1)} to ${(100 * row.test_high).toFixed(1)}`;
    return element(
      "span",
      { title: "95 % interval of this one run" },
      text,
      element("small", {}, interval),
    );
  }

  const definitions = () => [
    {
      title: "",
      titleFormatter: () => element("span", { class: "visually-hidden" }, "Picked"),
      field: "picked",
      formatter: pickCell,
      headerSort: false,
      width: 42,
      hozAlign: "center",
      frozen: true,
    },
    { title: "run", field: "id", formatter: nameCell, width: 132, sorter: "string" },
    ...ORDER.map((name) => {
      const number = rows.some((row) => typeof row[name] === "number");
      return {
        title: model.label(name),
        field: name,
        formatter: valueCell,
        visible: shownColumns().includes(name),
        minWidth: 90,
        hozAlign: number ? "right" : "left",
        headerHozAlign: number ? "right" : "left",
        sorter: number ? "number" : "string",
        headerSortStartingDir: /accuracy/.test(name) ? "desc" : "asc",
      };
    }),
  ];

  const table = new Tabulator(grid, {
    data: [],
    index: "id",
    columns: definitions(),
    layout: "fitDataFill",
    height: Math.min(560, 80 + 34 * rows.length),
    placeholder: "No run fits.",
    initialSort: [{ column: view.sort.field, dir: view.sort.direction }],
    columnDefaults: { resizable: false },
  });

  const compare = daybook.comparison(compareBox, change);
  const detail = daybook.runDetail(box, change);
  let ready = false;
  table.on("tableBuilt", () => {
    ready = true;
    makeOperable();
    table.setFilter((row) => Boolean(row.members) || model.matches(row, view));
    show({ everything: true });
  });
  table.on("dataSorted", (sorters) => {
    if (!ready || !sorters.length) return;
    const sort = { field: sorters[0].field, direction: sorters[0].dir };
    if (sort.field !== view.sort.field || sort.direction !== view.sort.direction) {
      view.sort = sort;
      remember();
    }
  });

  // What Tabulator leaves out for the keyboard: sorting from a focused heading. The body needs no stop of
  // its own, for its rows hold links and checkboxes.
  function makeOperable() {
    grid.querySelector(".tabulator-tableholder").removeAttribute("tabindex");
    for (const heading of grid.querySelectorAll(".tabulator-sortable")) {
      heading.tabIndex = 0;
      heading.addEventListener("keydown", (event) => {
        if (event.target !== heading || !["Enter", " "].includes(event.key)) return;
        event.preventDefault();
        heading.click();
      });
    }
  }

  // Everything that changes goes through here: the view, then the address, then what shows it.
  function change(part) {
    const before = view;
    view = { ...view, ...part };
    if (part.pick) view.picked = [...new Set([...view.picked, part.pick])];
    if (part.unpick) view.picked = view.picked.filter((id) => id !== part.unpick);
    delete view.pick;
    delete view.unpick;
    remember();
    show({ before });
  }

  function remember() {
    const hash = model.encode(view);
    if (location.hash.slice(1) !== hash)
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  }

  function show({ before = {}, everything = false }) {
    const changed = (...names) => everything || names.some((name) => view[name] !== before[name]);
    if (changed("q")) search.value = view.q;
    if (changed("group")) group.checked = view.group;
    if (
      everything ||
      (changed("chosen", "ranges") && !filters.contains(document.activeElement)) ||
      !Object.keys(view.chosen).length
    )
      fillFilters();
    if (changed("columns")) {
      if (everything || !view.columns || !columns.contains(document.activeElement)) fillColumns();
      for (const name of [...fields, ...figures]) {
        const column = table.getColumn(name);
        if (column.isVisible() !== shownColumns().includes(name)) column.toggle();
      }
    }
    if (changed("q", "chosen", "ranges", "group")) fillTable();
    else if (changed("picked")) repaintPicked(new Set([...before.picked, ...view.picked]));
    if (changed("picked", "metric", "x", "smooth")) compareNow();
    if (changed("run"))
      detail(
        runs.find((run) => run.id === view.run),
        rowOf.get(view.run),
        view.picked.includes(view.run),
      );
  }

  // Single runs stay in the table and are hidden by its filter; groups are made anew from those that fit.
  let loaded = null;
  function fillTable() {
    const shown = visible();
    count.textContent =
      shown.length === rows.length
        ? `${rows.length} runs`
        : `${shown.length} of ${rows.length} runs`;
    if (view.group) table.replaceData(model.group(shown, fields, figures));
    else if (loaded === rows) table.refreshFilter();
    else table.replaceData(rows);
    loaded = view.group ? null : rows;
  }

  function repaintPicked(ids) {
    for (const row of table.getRows()) {
      const data = row.getData();
      if ((data.members || [data]).some((member) => ids.has(member.id))) row.reformat();
    }
  }

  const compareNow = () =>
    compare(view.picked.map((id) => rowOf.get(id)).filter(Boolean), view, fields, figures);

  search.addEventListener("input", () => change({ q: search.value }));
  group.addEventListener("change", () => change({ group: group.checked }));
  window.addEventListener("hashchange", () => {
    view = model.decode(location.hash);
    table.setSort(view.sort.field, view.sort.direction);
    show({ everything: true });
  });

  daybook.runsPage = { table, change, view: () => view }; // for the console, and for tests
})(window.daybook);
