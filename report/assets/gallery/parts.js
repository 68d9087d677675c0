// What the gallery's grid and its view of one picture share: a picture, and what was said of it.

(function (daybook) {
  "use strict";

  const { element } = daybook;
  const folder = new URL("report/days/gallery/", daybook.root);
  const right = (item) => item.true === item.predicted;

  daybook.galleryParts = {
    data: new URL("gallery.js", folder),

    // Whether the prediction is right, and the same as a mark with a word.
    right,
    verdict: (item) =>
      element(
        "span",
        { class: right(item) ? "daybook-right" : "daybook-wrong" },
        right(item) ? "✓ correct" : "✗ misclassified",
      ),

    // The true class; of an error also the predicted one.
    caption: (item) => (right(item) ? item.true : `${item.true}, predicted ${item.predicted}`),

    // The same with the confidence, as alternative text.
    described: (item) =>
      `${item.true}, predicted ${item.predicted} with ${daybook.percent(item.confidence, 0)}, ` +
      (right(item) ? "correct" : "misclassified"),

    // A picture of `size` pixels, enlarged by a whole factor to at most `room`.
    picture(file, alt, size, room, name = null) {
      const side = size * Math.max(1, Math.floor(room / size));
      return element("img", {
        src: new URL(file, folder),
        alt,
        loading: "lazy",
        decoding: "async",
        width: side,
        height: side,
        class: name,
      });
    },
  };
})(window.daybook);
