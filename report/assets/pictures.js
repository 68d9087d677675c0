// A slider under pictures with heatmaps: how much of the heat lies over them.

(function (daybook) {
  "use strict";

  for (const figure of document.querySelectorAll(".daybook-pictures")) {
    if (!figure.querySelector(".daybook-heat")) continue;
    const slider = daybook.element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.05,
      value: 0.6,
      oninput: () => figure.style.setProperty("--heat-opacity", slider.value),
    });
    figure.append(daybook.element("label", { class: "daybook-opacity" }, "Heatmap opacity", slider));
  }
})(window.daybook);
