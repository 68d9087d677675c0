// The runs page: a table of all runs, by Tabulator, and the view that a reader has set.

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
  const names = model.results(rows, fields);
  const results = [
    ...LEADING.filter((name) => names.includes(name)),
    ...names.filter((name) => !LEADING.includes(name)),
  ];
  const varying = model.varying(rows, fields);
  const rowOf = new Map(rows.map((row) => [row.id, row]));
  const DEFAULT_COLUMNS = [...model.telling(rows, fields), ...LEADING];
  // The main result is next to the run's id, so that it is visible on a phone.
  const ORDER = [...results.slice(0, 1), ...fields, ...results.slice(1)];

  let view = read();
  const filtered = () => rows.filter((row) => model.matches(row, view));
  const visibleColumns = () => view.columns || DEFAULT_COLUMNS;

  // The view in the address, without names that no run has.
  function read() {
    const view = model.decode(location.hash);
    const known = (name) => name === "id" || ORDER.includes(name);
    if (!known(view.sort.field)) view.sort = model.start().sort;
    if (view.columns) view.columns = view.columns.filter(known);
    view.selected = view.selected.filter((id) => rowOf.has(id));
    if (!fields.includes("study")) delete view.allowed.study;
    return view;
  }

  const controls = daybook.runsControls({
    rows,
    fields,
    results,
    varying,
    view: () => view,
    filtered,
    columns: visibleColumns,
    change,
  });
  const grid = element("div", { class: "runs-table" });
  const compareBox = element("section", { class: "runs-compare" });
  box.replaceChildren(
    ...[controls.row, daybook.sameInAll(rows, fields), grid, compareBox].filter(Boolean),
  );

  // The table

  const selected = (row) =>
    (row.members || [row]).every((member) => view.selected.includes(member.id));

  function selectionCell(cell) {
    const row = cell.getData();
    const name = row.members ? `the ${row.members.length} runs of this setting` : `run ${row.id}`;
    return element("input", {
      type: "checkbox",
      checked: selected(row),
      "aria-label": `Select ${name}`,
      onchange: (event) => {
        const ids = (row.members || [row]).map((member) => member.id);
        const others = view.selected.filter((id) => !ids.includes(id));
        change({ selected: event.target.checked ? [...others, ...ids] : others });
      },
    });
  }

  function nameCell(cell) {
    const row = cell.getData();
    if (row.members) return `${row.members.length} run${row.members.length > 1 ? "s" : ""}`;
    return element(
      "a",
      {
        href: `#run=${encodeURIComponent(row.id)}`,
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
    const { half, range } = row.spreads?.[name] ?? {};
    const text = model.format(name, cell.getValue());
    const noted = (title, small) =>
      element("span", { title }, text, small && " ", small && element("small", {}, small));
    if (half !== undefined)
      return element(
        "span",
        { title: `Mean of ${row.members.length} runs and its 95 % interval` },
        `${text} ± ${model.format(name, Number(half.toPrecision(2)))}`,
      );
    if (range) {
      const [low, high] = range.map((end) => model.format(name, end));
      return low === high ? text : noted("Mean and range of two runs", `range ${low} to ${high}`);
    }
    if (typeof row[name] !== "number") return noted(text);
    if (name !== "test_accuracy" || row.members || row.test_low === undefined) return text;
    const interval = `${(100 * row.test_low).toFixed(1)} to ${(100 * row.test_high).toFixed(1)}`;
    return noted("95 % interval of this run", interval);
  }

  // Tabulator reads a string as HTML, so it gets nodes only.
  const inert = (formatter) => (cell) => {
    const content = formatter(cell);
    return content instanceof Node ? content : document.createTextNode(content);
  };
  const title = inert((heading) => heading.getValue());

  const definitions = () => [
    {
      title: "",
      titleFormatter: () => element("span", { class: "visually-hidden" }, "Selected"),
      field: "selected",
      formatter: inert(selectionCell),
      headerSort: false,
      width: 42,
      hozAlign: "center",
      frozen: true,
    },
    {
      title: "Run",
      titleFormatter: title,
      field: "id",
      formatter: inert(nameCell),
      width: 132,
      sorter: "string",
    },
    ...ORDER.map((name) => {
      const number = rows.some((row) => typeof row[name] === "number");
      return {
        title: daybook.label(name),
        titleFormatter: title,
        field: name,
        formatter: inert(valueCell),
        visible: visibleColumns().includes(name),
        minWidth: 76,
        maxWidth: number || name === "study" ? undefined : 200, // the cell's title is not cut
        hozAlign: number ? "right" : "left",
        headerHozAlign: number ? "right" : "left",
        sorter: model.sorter,
        headerSortStartingDir: /accuracy/.test(name) ? "desc" : "asc",
      };
    }),
  ];

  const table = new Tabulator(grid, {
    data: [],
    index: "id",
    nestedFieldSeparator: false, // a result's name may have a dot
    columns: definitions(),
    layout: "fitDataFill",
    height: Math.min(560, 80 + 34 * rows.length),
    placeholder: "No runs match the filters.",
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

  // Sorting from a focused heading, which Tabulator does not offer. The body of the table needs no
  // tab stop, because its rows contain links and checkboxes.
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

  // Every change goes through here: first the view, then the address, then the page.
  function change(part) {
    const before = view;
    view = { ...view, ...part };
    if (part.select) view.selected = [...new Set([...view.selected, part.select])];
    if (part.deselect) view.selected = view.selected.filter((id) => id !== part.deselect);
    delete view.select;
    delete view.deselect;
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
    controls.sync();
    if (changed("columns")) showColumns();
    if (changed("q", "allowed", "ranges", "group")) fillTable();
    else if (changed("selected")) repaint(new Set([...before.selected, ...view.selected]));
    if (changed("selected", "metric", "x", "smooth")) {
      compare(
        view.selected.map((id) => rowOf.get(id)),
        view,
        fields,
        results,
      );
    }
    if (changed("run")) {
      const run = runs.find(({ id }) => id === view.run);
      detail(run, rowOf.get(view.run), view.selected.includes(view.run));
    }
  }

  function showColumns() {
    for (const name of ORDER) {
      const column = table.getColumn(name);
      if (column.isVisible() !== visibleColumns().includes(name)) column.toggle();
    }
  }

  // Single runs stay in the table, whose filter hides them; groups are computed again.
  let loaded = null;
  function fillTable() {
    if (view.group) table.replaceData(model.group(filtered(), fields, results));
    else if (loaded === rows) table.refreshFilter();
    else table.replaceData(rows);
    loaded = view.group ? null : rows;
  }

  function repaint(ids) {
    for (const row of table.getRows()) {
      const data = row.getData();
      if ((data.members || [data]).some((member) => ids.has(member.id))) row.reformat();
    }
  }

  window.addEventListener("hashchange", () => {
    view = read();
    table.setSort(view.sort.field, view.sort.direction);
    show({ everything: true });
  });

  daybook.runsPage = { table, change }; // for the console and for tests
})(window.daybook);
