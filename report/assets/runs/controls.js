// The row over the table of runs: search, groups, filters, columns, downloads.

(function (daybook) {
  "use strict";

  const { element, runsModel: model } = daybook;
  const FEW = 12; // values of a numeric field that are ticked one by one; more are a range
  const FILES = {
    "runs.csv": "All runs (CSV)",
    "histories.csv": "All histories (CSV)",
    "runs.json": "All data (JSON)",
  };

  // page: { rows, fields, figures, varying, view(), shown(), columns(), change(part) }
  // Returns the row and `sync`, which makes every control say what the view says.
  daybook.runsControls = function (page) {
    const { change } = page;
    const syncs = [];

    // A control and how it follows the view. It is made once, so it keeps the focus.
    function control(attributes, follow) {
      const input = element("input", attributes);
      syncs.push(() => follow(input));
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
      const many = values.length > FEW && typeof values[0] === "number";
      return fieldset(model.label(field), ...(many ? range(field, values) : ticks(field, values)));
    }

    function ticks(field, values) {
      const chosen = () => page.view().chosen[field] || [];
      return values.map(String).map((value) =>
        checkbox(
          value,
          () => chosen().includes(value),
          (on) => {
            const others = chosen().filter((other) => other !== value);
            change({
              chosen: { ...page.view().chosen, [field]: on ? [...others, value] : others },
            });
          },
        ),
      );
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
        model.label(name),
        () => page.columns().includes(name),
        (on) => {
          const kept = (other) => (other === name ? on : page.columns().includes(other));
          change({ columns: [...page.fields, ...page.figures].filter(kept) });
        },
      );

    const same = page.fields
      .filter((field) => !page.varying.includes(field))
      .map((field) => `${model.label(field)} ${page.rows[0][field]}`);
    const count = element("span", { class: "count", role: "status" });
    syncs.push(() => {
      const [shown, all] = [page.shown().length, page.rows.length];
      count.textContent = shown === all ? `${all} runs` : `${shown} of ${all} runs`;
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
        "Group by recipe",
        () => page.view().group,
        (group) => change({ group }),
      ),
      panel(
        "Filters",
        button("Clear", { q: "", chosen: {}, ranges: {} }),
        ...page.varying.map(filter),
        same.length
          ? element("p", { class: "quiet" }, `The same in all runs: ${same.join(", ")}.`)
          : null,
      ),
      panel(
        "Columns",
        button("Default columns", { columns: null }),
        fieldset("Recipe", ...page.fields.map(column)),
        fieldset("Figures", ...page.figures.map(column)),
      ),
      panel(
        "Download",
        daybook.downloadLink("Rows shown (CSV)", "runs-shown.csv", () =>
          daybook.csv(page.shown().map(({ words, ...figures }) => figures)),
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

  // A panel that drops from its button and closes when one clicks elsewhere or presses Escape.
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
