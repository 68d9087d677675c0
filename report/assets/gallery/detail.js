// One picture of the gallery, in a dialog: where the model looked, how sure it was before and after
// calibration, and what became of the picture's attacked twin.

(function (daybook) {
  "use strict";

  const { element } = daybook;
  const { described, caption, picture, right, verdict } = daybook.galleryParts;

  // Returns what shows an item as one of those in the grid, or closes the dialog when it is none.
  daybook.galleryDetail = function (box, gallery, change) {
    let among = [];
    let place = -1;
    const title = element("h2", { id: "picture-title" });
    const count = element("span", { class: "quiet" });
    const body = element("div");
    const previous = button("‹", "Previous picture", -1);
    const next = button("›", "Next picture", 1);
    const dialog = element("dialog", {
      class: "daybook-dialog gallery-detail",
      "aria-labelledby": "picture-title",
    });
    const turning = element(
      "span",
      { class: "turning" },
      count,
      previous,
      next,
      daybook.closeButton(dialog),
    );
    dialog.append(element("header", {}, title, turning), body);
    box.append(dialog);

    dialog.addEventListener("close", () => change({ id: "" }));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step && event.target.type !== "range") turn(step);
    });

    return function show(item, shown) {
      if (!item) {
        dialog.close();
        return;
      }
      among = shown;
      place = shown.indexOf(item);
      count.textContent = place < 0 ? "" : `${place + 1} of ${shown.length}`;
      previous.disabled = place <= 0;
      next.disabled = place < 0 || place === shown.length - 1;
      if (dialog.dataset.id !== item.id) {
        dialog.dataset.id = item.id;
        title.replaceChildren(`${caption(item)} `, verdict(item));
        body.replaceChildren(...parts(item, gallery, dialog));
      }
      if (!dialog.open) dialog.showModal();
    };

    function button(sign, label, by) {
      const attributes = { type: "button", class: "daybook-button quiet", "aria-label": label };
      return element("button", { ...attributes, onclick: () => turn(by) }, sign);
    }

    function turn(by) {
      const item = place < 0 ? null : among[place + by];
      if (item) change({ id: item.id });
    }
  };

  function parts(item, { run, size, epsilon }, dialog) {
    // Four beside one another; on a phone two.
    const room = window.innerWidth < 600 ? 128 : 192;
    const figure = (title, ...content) =>
      element("figure", {}, ...content, element("figcaption", {}, title));
    const plain = (file, title) =>
      figure(title, picture(file, `${title}: ${described(item)}`, size, room));
    const heated = (file, title) => {
      const under = picture(item.image, `${title}: ${described(item)}`, size, room, "under");
      return figure(
        title,
        element("span", { class: "stack" }, under, picture(file, "", size, room, "heat")),
      );
    };
    const slider = element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.05,
      value: dialog.style.getPropertyValue("--heat-opacity") || 0.6,
      oninput: (event) => dialog.style.setProperty("--heat-opacity", event.target.value),
    });
    const confidence = daybook.percent(item.confidence);
    return [
      element(
        "p",
        { class: "quiet" },
        `${item.id} · confidence ${confidence} · loss ${item.loss.toFixed(3)} · `,
        element("a", { href: run.href }, "run details"),
      ),
      element(
        "div",
        { class: "pictures" },
        plain(item.image, "original"),
        heated(item.heat_predicted, `for ${item.predicted} (predicted)`),
        right(item) ? null : heated(item.heat_true, `for ${item.true} (true)`),
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
        element("th", { scope: "row" }, name === item.true ? `${name} (true)` : name),
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
