// The gallery: test pictures to filter and sort, each with heatmaps, confidences, attacked twin.
// What is chosen lives in the address: gallery.html#true=cat&predicted=dog shows one cell of the
// confusion matrix.

(function (daybook) {
  "use strict";

  const { element } = daybook;
  const box = document.getElementById("daybook-gallery");
  const folder = new URL("days/gallery/", new URL("report/", daybook.root));
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

  if (daybook.study.gallery) {
    daybook.load(new URL("gallery.js", folder)).then(() => start(daybook.gallery));
  } else {
    box.textContent = "There is no gallery yet: python -m analysis --only day4 makes it.";
  }

  function start({ classes, items, size }) {
    let view = decode();
    let shown = [];

    const select = (name, label, options) => {
      const input = element(
        "select",
        { onchange: () => change({ [name]: input.value }) },
        ...options.map(([value, text]) => element("option", { value }, text)),
      );
      return { label: element("label", {}, `${label} `, input), input, name };
    };
    const either = (names) => [["", "any"], ...names.map((name) => [name, name])];
    const selects = [
      select("outcome", "Prediction", [
        ["", "right or wrong"],
        ["right", "right"],
        ["wrong", "wrong"],
      ]),
      select("true", "True class", either(classes)),
      select("predicted", "Predicted", either(classes)),
      select(
        "sort",
        "Order",
        Object.keys(SORTS).map((name) => [name, name]),
      ),
    ];
    const bound = (name, label) => {
      const input = element("input", {
        type: "number",
        min: 0,
        max: 100,
        step: 5,
        onchange: () => change({ [name]: Math.min(100, Math.max(0, Number(input.value))) / 100 }),
      });
      return { label: element("label", {}, `${label} `, input, " %"), input, name };
    };
    const bounds = [bound("min", "Confidence from"), bound("max", "to")];
    const count = element("span", { class: "count", role: "status" });
    const grid = element("ul", { class: "gallery-grid" });
    const dialog = element("dialog", {
      class: "daybook-dialog gallery-detail",
      "aria-labelledby": "picture-title",
    });
    box.replaceChildren(
      element(
        "div",
        { class: "daybook-controls" },
        ...selects.map((each) => each.label),
        ...bounds.map((each) => each.label),
        count,
      ),
      grid,
      dialog,
    );

    dialog.addEventListener("close", () => change({ id: "" }));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || event.target.type === "range") return;
      const next = shown[shown.findIndex((item) => item.id === view.id) + step];
      if (next) change({ id: next.id });
    });
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
      for (const { input, name } of selects) input.value = view[name];
      for (const { input, name } of bounds) input.value = Math.round(100 * view[name]);
      shown = items
        .filter((item) => matches(item, view))
        .sort(SORTS[view.sort] || SORTS[START.sort]);
      count.textContent = `${shown.length} of ${items.length} pictures`;
      const order = shown.map((item) => item.id).join();
      if (grid.dataset.order !== order) {
        grid.dataset.order = order;
        grid.replaceChildren(
          ...shown.map((item) => card(item, size, () => change({ id: item.id }))),
        );
      }
      const chosen = items.find((item) => item.id === view.id);
      if (!chosen) dialog.close();
      else if (dialog.dataset.id !== chosen.id || !dialog.open) fillDetail(dialog, chosen, size);
    }
  }

  function decode() {
    const words = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    const view = { ...START, ...words };
    for (const end of ["min", "max"])
      view[end] = Number.isFinite(Number(view[end])) ? Number(view[end]) : START[end];
    return view;
  }

  const right = (item) => item.true === item.predicted;
  const matches = (item, view) =>
    (!view.outcome || (view.outcome === "right") === right(item)) &&
    (!view.true || item.true === view.true) &&
    (!view.predicted || item.predicted === view.predicted) &&
    item.confidence >= view.min &&
    item.confidence <= view.max;

  // A picture enlarged by a whole factor to at most `room` pixels. All of a gallery have one size.
  let natural = null;
  function picture(file, alt, room, size, name = null) {
    const image = element("img", {
      src: new URL(file, folder),
      alt,
      loading: "lazy",
      decoding: "async",
      class: name,
    });
    const fit = (side) => {
      const factor = Math.max(1, Math.floor(room / side));
      image.width = image.height = side * factor;
    };
    if (size || natural) fit(size || natural);
    else {
      image.width = image.height = room;
      image.addEventListener("load", () => {
        natural = image.naturalWidth;
        fit(natural);
      });
    }
    return image;
  }

  // Four beside one another in the dialog; on a phone two.
  const room = () => (window.innerWidth < 600 ? 128 : 192);

  const verdict = (item) =>
    element(
      "span",
      { class: right(item) ? "daybook-right" : "daybook-wrong" },
      right(item) ? "✓ right" : "✗ wrong",
    );
  const described = (item) =>
    `${item.true}, predicted ${item.predicted} with ${daybook.percent(item.confidence, 0)}, ` +
    (right(item) ? "right" : "wrong");

  function card(item, size, open) {
    return element(
      "li",
      {},
      element(
        "button",
        { type: "button", onclick: open, "aria-label": described(item) },
        picture(item.image, "", 128, size),
        element(
          "span",
          { class: "gallery-caption" },
          element("span", {}, right(item) ? item.true : `${item.true} for ${item.predicted}`),
          verdict(item),
          " ",
          daybook.percent(item.confidence, 0),
        ),
      ),
    );
  }

  function fillDetail(dialog, item, size) {
    const heated = (file, title) =>
      element(
        "figure",
        {},
        element(
          "span",
          { class: "stack" },
          picture(item.image, `${title}: ${described(item)}`, room(), size, "under"),
          picture(file, "", room(), size, "heat"),
        ),
        element("figcaption", {}, title),
      );
    const plain = (file, title) =>
      element(
        "figure",
        {},
        picture(file, `${title}: ${described(item)}`, room(), size),
        element("figcaption", {}, title),
      );
    const slider = element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.05,
      value: 0.6,
      oninput: (event) => dialog.style.setProperty("--heat-opacity", event.target.value),
    });
    dialog.dataset.id = item.id;
    dialog.replaceChildren(
      element(
        "header",
        {},
        element(
          "h2",
          { id: "picture-title" },
          right(item)
            ? `A ${item.true}, recognised `
            : `A ${item.true}, taken for a ${item.predicted} `,
          verdict(item),
        ),
        daybook.closeButton(dialog),
      ),
      element(
        "p",
        { class: "quiet" },
        `${item.id} · confidence ${daybook.percent(item.confidence)} · loss ${item.loss.toFixed(3)}`,
        item.href ? " · " : "",
        item.href ? element("a", { href: item.href }, "its run") : null,
      ),
      element(
        "div",
        { class: "pictures" },
        plain(item.image, "original"),
        item.heat_predicted
          ? heated(item.heat_predicted, `for ${item.predicted} (predicted)`)
          : null,
        item.heat_true && !right(item) ? heated(item.heat_true, `for ${item.true} (true)`) : null,
        item.adversarial ? plain(item.adversarial, "after FGSM") : null,
      ),
      item.heat_predicted ? element("label", { class: "opacity" }, "Heat ", slider) : null,
      element(
        "div",
        { class: "pictures" },
        bars("Before calibration", item.top5_before, item),
        bars("After calibration", item.top5_after, item),
      ),
    );
    if (!dialog.open) dialog.showModal();
  }

  function bars(title, top, item) {
    if (!top) return null;
    return element(
      "table",
      { class: "bars" },
      element("caption", {}, title),
      element(
        "tbody",
        {},
        ...top.map(([name, p]) =>
          element(
            "tr",
            { class: name === item.true ? "true" : null },
            element("th", { scope: "row" }, name === item.true ? `${name} (true)` : name),
            element(
              "td",
              {},
              element("span", { class: "bar-of", style: `width: ${(100 * p).toFixed(1)}%` }),
            ),
            element("td", { class: "daybook-number" }, daybook.percent(p)),
          ),
        ),
      ),
    );
  }
})(window.daybook);
