"use strict";
// Plotly is in the page once, compressed; it is unpacked here, and nothing is fetched.
(async () => {
  const parsed = id => JSON.parse(document.getElementById(id).textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const look = () => dark.matches
    ? { "font.color": "#d6dee8", "hoverlabel.bgcolor": "#1b2530", "hoverlabel.font.color": "#d6dee8" }
    : { "font.color": "#253242", "hoverlabel.bgcolor": "#ffffff", "hoverlabel.font.color": "#253242" };
  const places = [...document.querySelectorAll("[data-picture]")];
  try {
    const packed = atob(document.getElementById("plotly").textContent);
    const bytes = Uint8Array.from(packed, letter => letter.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
    const figures = parsed("figures");
    for (const place of places) {
      const figure = figures[place.dataset.picture];
      // Where writing would lie upon writing the picture is wider than the page, and scrolls.
      if (figure.layout.meta) place.style.minWidth = `${figure.layout.meta.least_width}px`;
      await Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displaylogo: false });
      await Plotly.relayout(place, look());
      place.parentElement.classList.add("drawn");
    }
  } catch (error) {
    // Where there is a still picture it stays; the reason is for whoever looks for it.
    document.documentElement.dataset.undrawn = String(error);
    for (const place of places) {
      place.parentElement.classList.remove("drawn");
    }
  }
  dark.addEventListener("change", () => places.forEach(place => place.data && Plotly.relayout(place, look())));
})();
