// Draws the last two days of one gauge into an SVG element. No library: the hut's connection is slow.

const WIDTH = 960;
const HEIGHT = 240;

export function scale(values, low, high, size) {
  const span = high - low || 1;
  return values.map((value) => size - ((value - low) / span) * size);
}

export function pathOf(levels) {
  if (levels.length === 0) {
    return "";
  }
  const low = Math.min(...levels);
  const high = Math.max(...levels);
  const step = WIDTH / Math.max(levels.length - 1, 1);
  return scale(levels, low, high, HEIGHT)
    .map((y, index) => `${index === 0 ? "M" : "L"}${(index * step).toFixed(1)},${y.toFixed(1)}`)
    .join(" ");
}

export async function draw(element, station) {
  const answer = await fetch(`/levels/${encodeURIComponent(station)}?hours=48`);
  if (!answer.ok) {
    element.textContent = `No levels for ${station}: ${answer.status}`;
    return;
  }
  const levels = await answer.json();
  element.innerHTML = `<path fill="none" stroke="currentColor" d="${pathOf(levels)}"/>`;
}
