// The controls of the table of runs: search, groups, filters, columns, downloads.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const MAX_CHECKBOXES = 12; // a numeric field with more values gets a range instead
  const FILES = {
    "runs.csv": "All runs (CSV)",
    "histories.csv": "All histories (CSV)",
    "runs.json": "All runs and histories (JSON)",
  };

  // page: { rows, fields, results, varying, view(), filtered(), columns(), change(part) }
  // Returns the row of controls and `sync`, which sets every control to the view.
  daybook.runsControls = function (page) {
    const { change } = page;
    const syncs = [];

    // A control and a function that sets it to the view. It is created once, so it keeps the focus.
    function control(attributes, sync) {
      const input = element("input", attributes);
      syncs.push(() => sync(input));
      return input;
    }

    function checkbox(text, isChecked, set) {
      const input = control(
        { type: "checkbox", onchange: (event) => set(event.target.checked) },
        (box) => (box.checked = isChecked()),
      );
      return element("label", {}, input, ` ${text}`);
    }

    const fieldset = (title, ...content) =>
      element("fieldset", {}, element("legend", {}, title), ...content);
    const button = (text, part) =>
      element(
        "button",
        { type: "button", class: "daybook-button", onclick: () => change(part) },
        text,
      );

    function filter(field) {
      const values = model.values(page.rows, field);
      const many = values.length > MAX_CHECKBOXES && typeof values[0] === "number";
      const inputs = many ? range(field, values) : checkboxes(field, values);
      return fieldset(daybook.label(field), ...inputs);
    }

    function checkboxes(field, values) {
      const allowed = () => page.view().allowed[field] || [];
      const choices = model.hasGaps(page.rows, field) ? [...values, null] : values;
      return choices.map((value) => {
        const key = model.key(value);
        return checkbox(
          model.format(field, value),
          () => allowed().includes(key),
          (on) => {
            const others = allowed().filter((other) => other !== key);
            change({
              allowed: { ...page.view().allowed, [field]: on ? [...others, key] : others },
            });
          },
        );
      });
    }

    function range(field, values) {
      const ends = { min: ["from ", values[0]], max: ["to ", values.at(-1)] };
      return Object.entries(ends).map(([end, [text, extreme]]) => {
        const set = (value) => {
          const { ranges } = page.view();
          const number = value === "" ? null : Number(value);
          change({
            ranges: {
              ...ranges,
              [field]: { min: null, max: null, ...ranges[field], [end]: number },
            },
          });
        };
        const input = control(
          {
            type: "number",
            step: "any",
            placeholder: extreme,
            onchange: (event) => set(event.target.value),
          },
          (box) => (box.value = page.view().ranges[field]?.[end] ?? ""),
        );
        return element("label", {}, text, input);
      });
    }

    const column = (name) =>
      checkbox(
        daybook.label(name),
        () => page.columns().includes(name),
        (on) => {
          const visible = (other) => (other === name ? on : page.columns().includes(other));
          change({ columns: [...page.fields, ...page.results].filter(visible) });
        },
      );

    const count = element("span", { class: "count", role: "status" });
    syncs.push(() => {
      const [filtered, all] = [page.filtered().length, page.rows.length];
      count.textContent = filtered === all ? `${all} runs` : `${filtered} of ${all} runs`;
    });

    const row = element(
      "div",
      { class: "daybook-controls" },
      control(
        {
          type: "search",
          placeholder: "Search",
          "aria-label": "Search runs",
          oninput: (event) => change({ q: event.target.value }),
        },
        (box) => (box.value = page.view().q),
      ),
      checkbox(
        "Group by setting",
        () => page.view().group,
        (group) => change({ group }),
      ),
      panel(
        "Filters",
        button("Clear filters", { q: "", allowed: {}, ranges: {} }),
        ...page.varying.map(filter),
      ),
      panel(
        "Columns",
        button("Default columns", { columns: null }),
        fieldset("Recipe", ...page.fields.map(column)),
        fieldset("Results", ...page.results.map(column)),
      ),
      panel(
        "Download",
        daybook.downloadLink("Filtered runs (CSV)", "runs-filtered.csv", () =>
          daybook.csv(page.filtered().map(asLine)),
        ),
        ...Object.entries(FILES).map(([name, text]) =>
          element(
            "a",
            { href: new URL(`generated/${name}`, daybook.assets), download: name },
            text,
          ),
        ),
      ),
      count,
    );
    return { row, sync: () => syncs.forEach((sync) => sync()) };
  };

  // A row as a line of a CSV file.
  function asLine(row) {
    const shown = Object.entries(row).filter(([name]) => !model.HIDDEN.includes(name));
    return Object.fromEntries(
      shown.map(([name, value]) => [name, Array.isArray(value) ? model.key(value) : value]),
    );
  }

  // What the table need not say, in one line, which a click unfolds.
  daybook.sameInAll = function (rows, fields) {
    const parts = model.constant(rows, fields).map(({ network, row, fields }) => {
      const values = fields.map((name) => `${daybook.term(name)} ${model.format(name, row[name])}`);
      const whose = network === null ? "all runs" : `all ${model.format("model", network)} runs`;
      return `The same in ${whose}: ${values.join(", ")}.`;
    });
    if (!parts.length) return null;
    const [first, ...others] = parts;
    return element(
      "details",
      { class: "runs-same" },
      element("summary", {}, first),
      ...others.map((text) => element("p", {}, text)),
    );
  };

  // A panel under its button; a click elsewhere or Escape closes it.
  function panel(title, ...content) {
    const summary = element("summary", {}, title);
    const details = element(
      "details",
      { class: "dropdown-panel" },
      summary,
      element("div", { class: "panel" }, ...content),
    );
    document.addEventListener("click", (event) => {
      if (!details.contains(event.target)) details.open = false;
    });
    details.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      details.open = false;
      summary.focus();
    });
    return details;
  }
})(window.daybook);
