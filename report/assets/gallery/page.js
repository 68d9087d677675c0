// The gallery: test pictures to filter and sort, each with heatmaps, confidence and an adversarial
// picture. The address contains the filters: gallery.html#true=cat&predicted=dog shows one cell of
// the confusion matrix.

(function (daybook) {
  "use strict";

  const { element } = daybook;
  const { correct, data, description, picture, title, verdict } = daybook.galleryParts;
  const box = document.getElementById("daybook-gallery");
  const MAX_SIDE = window.innerWidth < 600 ? 96 : 128; // of an enlarged picture, in pixels
  const SORTS = {
    "highest loss first": (a, b) => b.loss - a.loss,
    "lowest loss first": (a, b) => a.loss - b.loss,
    "most confident first": (a, b) => b.confidence - a.confidence,
    "least confident first": (a, b) => a.confidence - b.confidence,
  };
  const START = {
    outcome: "",
    true: "",
    predicted: "",
    min: 0,
    max: 1,
    sort: "highest loss first",
    id: "",
  };

  daybook.load(data).then(() => start(daybook.gallery));

  function start(gallery) {
    const { items, size } = gallery;
    let view = decode();
    const { labels, fill } = controls(gallery, change);
    const count = element("span", { class: "count", role: "status" });
    const grid = element("ul", { class: "gallery-grid" });
    const bar = element("div", { class: "daybook-controls" }, ...labels, count);
    box.replaceChildren(summary(gallery), bar, grid);
    const detail = daybook.galleryDetail(box, gallery, change);
    window.addEventListener("hashchange", () => {
      view = decode();
      show();
    });
    show();

    function change(part) {
      view = { ...view, ...part };
      const words = new URLSearchParams(
        Object.entries(view).filter(([name, value]) => value !== START[name]),
      );
      history.replaceState(
        null,
        "",
        words.size ? `#${words}` : location.pathname + location.search,
      );
      show();
    }

    function show() {
      fill(view);
      const visible = items
        .filter((item) => matches(item, view))
        .sort(SORTS[view.sort] || SORTS[START.sort]);
      count.textContent = `${visible.length} of ${items.length} pictures`;
      const order = visible.map((item) => item.id).join();
      if (grid.dataset.order !== order) {
        grid.dataset.order = order;
        grid.replaceChildren(
          ...visible.map((item) => card(item, size, () => change({ id: item.id }))),
        );
      }
      detail(
        items.find((item) => item.id === view.id),
        visible,
      );
    }
  }

  // The run whose predictions these are, and the number of pictures in the gallery and in all.
  function summary({ run, items, tested, mistakes }) {
    const misclassified = items.filter((item) => !correct(item)).length;
    const part = (count, all) =>
      (count === all ? "all " : `${count.toLocaleString("en")} of `) + all.toLocaleString("en");
    return element(
      "p",
      {},
      "Test-split predictions of the run with the best validation accuracy, ",
      element("a", { href: daybook.pageAddress(run.href) }, run.name),
      `: ${part(misclassified, mistakes)} misclassified and ` +
        `${part(items.length - misclassified, tested - mistakes)} correctly classified pictures.`,
    );
  }

  // The labelled filters, and a function that sets them to a view.
  function controls({ classes }, change) {
    const inputs = new Map();
    const select = (name, label, options) => {
      const input = element(
        "select",
        { onchange: () => change({ [name]: input.value }) },
        ...options.map(([value, text]) => element("option", { value }, text)),
      );
      inputs.set(name, input);
      return element("label", {}, `${label} `, input);
    };
    const bound = (name, label) => {
      const input = element("input", {
        type: "number",
        min: 0,
        max: 100,
        step: 5,
        onchange: () => change({ [name]: Math.min(100, Math.max(0, Number(input.value))) / 100 }),
      });
      inputs.set(name, input);
      return element("label", {}, `${label} `, input, " %");
    };
    const anyClass = [["", "any"], ...classes.map((name) => [name, name])];
    const labels = [
      select("outcome", "Prediction", [
        ["", "correct or misclassified"],
        ["correct", "correct"],
        ["misclassified", "misclassified"],
      ]),
      select("true", "True class", anyClass),
      select("predicted", "Predicted class", anyClass),
      element("span", {}, bound("min", "Confidence from"), " ", bound("max", "to")),
      select(
        "sort",
        "Order",
        Object.keys(SORTS).map((name) => [name, name]),
      ),
    ];
    const fill = (view) => {
      for (const [name, input] of inputs)
        input.value = input.type === "number" ? Math.round(100 * view[name]) : view[name];
    };
    return { labels, fill };
  }

  function decode() {
    const words = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const view = { ...START, ...words };
    for (const end of ["min", "max"])
      view[end] = Number.isFinite(Number(view[end])) ? Number(view[end]) : START[end];
    return view;
  }

  const matches = (item, view) =>
    (!view.outcome || (view.outcome === "correct") === correct(item)) &&
    (!view.true || item.true === view.true) &&
    (!view.predicted || item.predicted === view.predicted) &&
    item.confidence >= view.min &&
    item.confidence <= view.max;

  function card(item, size, open) {
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", onclick: open, "aria-label": description(item) },
        picture(item.image, "", size, MAX_SIDE),
        element(
          "span",
          { class: "gallery-caption" },
          element("span", {}, title(item)),
          verdict(item),
          element("span", {}, `confidence ${daybook.percent(item.confidence, 0)}`),
        ),
      ),
    );
  }
})(window.daybook);
