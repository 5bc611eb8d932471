// Texts for people.

/** clock is a duration in ms as 1:05, or 1:02:05. */
export function clock(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  return minutes < 60 ? `${minutes}:${two(s % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}

/** ago is an age in ms as text. */
export function ago(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  return s < 60 ? `${s} s` : `${Math.floor(s / 60)} min`;
}

/** whole is a fraction in percent, without the unit. */
export const whole = (fraction: number | undefined): string => fraction === undefined ? "–" : String(Math.round(fraction * 100));

/** percent has a narrow space that does not break. */
export const percent = (fraction: number | undefined): string =>
  fraction === undefined ? "–" : `${Math.round(fraction * 100)}\u202f%`;

export const timeOfDay = (at: number): string => new Date(at).toLocaleTimeString("en-GB");

/** openTexts are the values of OpenStatus. */
export const openTexts = [
  "unknown", "out of order", "perhaps out of order", "closed", "perhaps closed", "open", "perhaps open",
];

export const isOpen = (status: number): boolean => status >= 5;

/** wordTexts are the words for the activities of users. */
export const wordTexts = {
  free: "free", ringing: "ringing", talking: "on a call", parked: "parked", calling: "calling",
  wrapUp: "wrap-up", away: "away", fetching: "fetch mode", supervising: "listening in", noQueue: "no queue",
  offWork: "off work",
} as const;
