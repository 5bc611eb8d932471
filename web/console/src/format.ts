// Numbers and times for people.
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (n: number): string => decimal.format(n);

/** short is count for little room: 12.3K. */
export const short = (n: number): string => (n < 10_000 ? decimal.format(n) : compact.format(n));

/** rate is a number per second. */
export const rate = (n: number): string => (n < 10 ? precise.format(n) : short(n));

export function bytes(n: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let value = n;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 && unit > 0 ? precise.format(value) : decimal.format(value)} ${units[unit]}`;
}

/** span is a duration in ms. */
export function span(ms: number): string {
  if (ms < 1) return ms === 0 ? "0 ms" : `${decimal.format(ms * 1000)} µs`;
  if (ms < 1000) return `${ms < 10 ? precise.format(ms) : decimal.format(ms)} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s < 10 ? precise.format(s) : decimal.format(s)} s`;
  const parts: [number, string][] = [[Math.floor(s / 86_400), "d"], [Math.floor(s / 3600) % 24, "h"],
    [Math.floor(s / 60) % 60, "min"], [Math.floor(s) % 60, "s"]];
  const first = parts.findIndex(([n]) => n > 0);
  return parts.slice(first, first + 2).filter(([n]) => n > 0).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const millis = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** time is the time of the day, with the day if that is not today. */
export function time(at: string | number | Date, exact = false): string {
  const date = new Date(at);
  const text = (exact ? millis : clock).format(date);
  return date.toDateString() === new Date().toDateString() ? text : `${day.format(date)}, ${text}`;
}

/** plural puts a number before a word. */
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const isGUID = (text: string): boolean => guid.test(text.trim());

/** clip shortens an id to its beginning and its end. */
export const clip = (id: string): string => (id.length > 13 ? `${id.slice(0, 4)}…${id.slice(-6)}` : id);
