/** Where a page has its run from: whatever calls `take` with pieces of it. */

/** @typedef {(take: (piece: import("./model.js").Piece) => void) => void} Source */

/**
 * The run that stands in the page itself.
 *
 * @type {Source}
 */
export function island(take) {
  take(JSON.parse(document.getElementById("content")?.textContent ?? "{}"));
}
