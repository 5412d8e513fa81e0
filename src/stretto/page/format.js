/** Figures as people read them. */

/** @param {number} value seconds */
export function seconds(value) {
  if (value < 10) return `${value.toFixed(2)} s`;
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The same of what goes on: no more than can be read. @param {number} value */
export const tenths = (value) => (value < 10 ? `${value.toFixed(1)} s` : seconds(value));

/** @param {number} number */
export function count(number) {
  if (number < 1000) return String(number);
  if (number < 999_500) return `${(number / 1000).toFixed(number < 9950 ? 1 : 0)}k`;
  return `${(number / 1e6).toFixed(1)}M`;
}

const GROUPED = new Intl.NumberFormat("en");

/** @param {number} number */
export const grouped = (number) => GROUPED.format(number);

/**
 * @param {number} number
 * @param {string} what
 */
export const many = (number, what) => `${grouped(number)} ${what}${number === 1 ? "" : "s"}`;

/** @param {string | null | undefined} cost US dollars, null where a price is unknown */
export function dollars(cost) {
  if (cost === null) return "$?";
  const value = Number(cost ?? 0);
  if (!value) return "";
  if (value >= 1) return `$${value.toFixed(2)}`;
  return value >= 0.01 ? `$${value.toFixed(3)}` : `$${value.toPrecision(2).replace(/e.*$/, (power) => power)}`;
}
