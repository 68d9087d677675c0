// Shared by the gallery's grid and its view of one picture: the picture, its class and prediction.

(function (daybook) {
  "use strict";

  const { element } = daybook;
  const folder = new URL("gallery/", document.baseURI);
  const correct = (item) => item.true === item.predicted;

  daybook.galleryParts = {
    data: new URL("gallery.js", folder),

    // Whether the prediction is correct, and the same as a mark with a word.
    correct,
    verdict: (item) =>
      element(
        "span",
        { class: correct(item) ? "daybook-right" : "daybook-wrong" },
        correct(item) ? "✓ correct" : "✗ misclassified",
      ),

    // The true class; if the picture is misclassified, also the predicted one.
    title: (item) => (correct(item) ? item.true : `${item.true}, predicted ${item.predicted}`),

    // The same with the confidence, for readers who do not see the picture.
    description: (item) =>
      `${item.true}, predicted ${item.predicted}, ` +
      `confidence ${daybook.percent(item.confidence, 0)}, ` +
      (correct(item) ? "correct" : "misclassified"),

    // A picture of `size` pixels, enlarged by a whole factor to at most `maxSide` pixels.
    picture(file, alt, size, maxSide, name = null) {
      const side = size * Math.max(1, Math.floor(maxSide / size));
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
