// The tables of the reproduce page: commands, hardware and software, notebooks.

(function (daybook) {
  "use strict";

  const { element } = daybook;
  const table = (heads, rows) =>
    element(
      "div",
      { class: "daybook-scroll", tabindex: "0", role: "group" },
      element(
        "table",
        { class: "daybook-table" },
        element(
          "thead",
          {},
          element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head))),
        ),
        element(
          "tbody",
          {},
          ...rows.map((cells) =>
            element("tr", {}, ...cells.map((cell) => element("td", {}, cell))),
          ),
        ),
      ),
    );

  const pages = Object.entries(daybook.pages);
  const several = new Set(pages.map(([, made]) => made.study)).size > 1;
  document.getElementById("made-by").replaceChildren(
    pages.length
      ? table(
          [...(several ? ["Study"] : []), "Page", "Command", "Duration"],
          pages.map(([path, made]) => [
            ...(several ? [made.study] : []),
            element("a", { href: new URL(path, daybook.root) }, made.title),
            element("code", {}, made.command || "–"),
            made.seconds === undefined ? "–" : `${Math.round(made.seconds).toLocaleString("en")} s`,
          ]),
        )
      : "No notebook has been executed yet.",
  );

  // One row per combination of hardware and software.
  const machines = new Map();
  for (const run of daybook.runs || []) {
    const { started, ...facts } = run.environment;
    const key = JSON.stringify(facts);
    if (!machines.has(key)) machines.set(key, { facts, runs: 0, seconds: 0 });
    const machine = machines.get(key);
    machine.runs += 1;
    machine.seconds += run.summary.seconds || 0;
  }
  const names = [
    ...new Set(
      [...machines.values()].flatMap(({ facts }) =>
        Object.keys(facts).filter((name) => facts[name] !== null),
      ),
    ),
  ];
  document.getElementById("environments").replaceChildren(
    machines.size
      ? table(
          [...names.map(daybook.label), "Runs", "Training time"],
          [...machines.values()].map(({ facts, runs, seconds }) => [
            ...names.map((name) => String(facts[name] ?? "–")),
            String(runs),
            duration(seconds),
          ]),
        )
      : "There are no finished runs yet.",
  );

  const downloads = document.getElementById("files");
  for (const [, made] of pages) {
    const name = made.notebook.split("/").pop();
    downloads.append(
      element(
        "li",
        {},
        element("a", { href: new URL(made.notebook, daybook.assets), download: name }, name),
        several ? `: the executed notebook of the study ${made.study}` : ": the executed notebook",
      ),
    );
  }

  function duration(seconds) {
    if (seconds < 120) return `${Math.round(seconds)} s`;
    return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  }
})(window.daybook);
