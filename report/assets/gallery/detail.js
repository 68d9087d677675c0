// One picture of the gallery, in a dialog: its Grad-CAM heatmaps, its adversarial picture, and its
// most probable classes before and after temperature scaling.

(function (daybook) {
  "use strict";

  const { element } = daybook;
  const { correct, description, picture, title, verdict } = daybook.galleryParts;

  // Returns a function that shows an item, given the items of the grid; without one it closes.
  daybook.galleryDetail = function (box, gallery, change) {
    let items = [];
    let index = -1;
    const heading = element("h2", { id: "picture-title" });
    const count = element("span", { class: "quiet" });
    const body = element("div");
    const previous = button("‹", "Previous picture", -1);
    const next = button("›", "Next picture", 1);
    const dialog = element("dialog", {
      class: "daybook-dialog gallery-detail",
      "aria-labelledby": "picture-title",
    });
    const paging = element(
      "span",
      { class: "paging" },
      count,
      previous,
      next,
      daybook.closeButton(dialog),
    );
    dialog.append(element("header", {}, heading, paging), body);
    box.append(dialog);

    dialog.addEventListener("close", () => change({ id: "" }));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step && event.target.type !== "range") go(step);
    });

    return function show(item, visible) {
      if (!item) {
        dialog.close();
        return;
      }
      items = visible;
      index = items.indexOf(item);
      count.textContent = index < 0 ? "" : `${index + 1} of ${items.length}`;
      previous.disabled = index <= 0;
      next.disabled = index < 0 || index === items.length - 1;
      if (dialog.dataset.id !== item.id) {
        dialog.dataset.id = item.id;
        heading.replaceChildren(`${title(item)} `, verdict(item));
        body.replaceChildren(...parts(item, gallery, dialog));
      }
      if (!dialog.open) dialog.showModal();
    };

    function button(sign, label, by) {
      const attributes = { type: "button", class: "daybook-button quiet", "aria-label": label };
      return element("button", { ...attributes, onclick: () => go(by) }, sign);
    }

    function go(by) {
      const item = index < 0 ? null : items[index + by];
      if (item) change({ id: item.id });
    }
  };

  function parts(item, { run, size, epsilon }, dialog) {
    // Four pictures side by side; on a phone two.
    const maxSide = window.innerWidth < 600 ? 128 : 192;
    const figure = (caption, ...content) =>
      element("figure", {}, ...content, element("figcaption", {}, caption));
    const plain = (file, caption) =>
      figure(caption, picture(file, `${caption}: ${description(item)}`, size, maxSide));
    const withHeatmap = (file, caption) => {
      const alt = `${caption}: ${description(item)}`;
      const grey = picture(item.image, alt, size, maxSide, "grey");
      const heatmap = picture(file, "", size, maxSide, "heatmap");
      return figure(caption, element("span", { class: "stack" }, grey, heatmap));
    };
    const slider = element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.05,
      value: dialog.style.getPropertyValue("--heat-opacity") || 0.6,
      oninput: (event) => dialog.style.setProperty("--heat-opacity", event.target.value),
    });
    return [
      element(
        "p",
        { class: "quiet" },
        `${item.id} · confidence ${daybook.percent(item.confidence)} · ` +
          `loss ${item.loss.toFixed(3)} · `,
        element("a", { href: daybook.pageAddress(run.href) }, "run details"),
      ),
      element(
        "div",
        { class: "pictures" },
        plain(item.image, "original"),
        withHeatmap(item.heat_predicted, `Grad-CAM for ${item.predicted} (predicted)`),
        correct(item) ? null : withHeatmap(item.heat_true, `Grad-CAM for ${item.true} (true)`),
        plain(
          item.adversarial,
          `after FGSM, ε = ${epsilon}/255: predicted ${item.adversarial_predicted}`,
        ),
      ),
      element("label", { class: "daybook-opacity" }, "Heatmap opacity", slider),
      element(
        "div",
        { class: "pictures" },
        bars("Before temperature scaling", item.top5_before, item),
        bars("After temperature scaling", item.top5_after, item),
      ),
    ];
  }

  function bars(title, top, item) {
    const row = ([name, p]) =>
      element(
        "tr",
        { class: name === item.true ? "true" : null },
        element(
          "th",
          { scope: "row", title: name },
          name === item.true ? `${name} (true)` : name,
        ),
        element(
          "td",
          {},
          element("span", { class: "bar-of", style: `width: ${(100 * p).toFixed(1)}%` }),
        ),
        element("td", { class: "daybook-number" }, daybook.percent(p)),
      );
    return element(
      "table",
      { class: "bars" },
      element("caption", {}, title),
      element("tbody", {}, ...top.map(row)),
    );
  }
})(window.daybook);
