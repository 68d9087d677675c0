// A slider for the opacity of heatmaps, under the pictures that have them.

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
    const label = { class: "daybook-opacity" };
    figure.append(daybook.element("label", label, "Heatmap opacity", slider));
  }
})(window.daybook);
