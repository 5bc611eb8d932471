import { historyTime, type Sample } from "../centre.ts";
import { timeOfDay } from "../format.ts";

const width = 600;
const height = 160;

/** Chart draws the calls of the last hour: waiting calls as an area, connected calls as a line. */
export function Chart({ samples, now }: { samples: readonly Sample[]; now: number }) {
  const first = samples[0];
  if (samples.length < 2 || !first) return <p class="hint">The chart begins when there are two samples.</p>;
  const from = Math.max(now - historyTime, first.at);
  const most = Math.max(4, ...samples.map((sample) => Math.max(sample.waiting, sample.connected)));
  const x = (at: number) => ((at - from) / Math.max(1, now - from)) * width;
  const y = (value: number) => height - (value / most) * height;
  const path = (value: (sample: Sample) => number) =>
    samples.map((sample, i) => `${i === 0 ? "M" : "L"}${x(sample.at).toFixed(1)} ${y(value(sample)).toFixed(1)}`).join("");
  const last = samples.at(-1)!;
  const waiting = path((sample) => sample.waiting);
  const text = `Calls since ${timeOfDay(from)}: now ${last.waiting} wait and ${last.connected} are connected; at most ` +
    `${Math.max(...samples.map((sample) => sample.waiting))} waited.`;
  return (
    <figure class="chart">
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={text}>
        {[0.25, 0.5, 0.75].map((part) => <line class="grid" x1="0" x2={width} y1={height * part} y2={height * part} />)}
        <path class="area" d={`${waiting}L${x(last.at).toFixed(1)} ${height}L${x(first.at).toFixed(1)} ${height}Z`} />
        <path class="waiting" d={waiting} />
        <path class="connected" d={path((sample) => sample.connected)} />
      </svg>
      <figcaption>
        <span>{timeOfDay(from)}</span>
        <span class="key" data-key="waiting">waiting {last.waiting}</span>
        <span class="key" data-key="connected">connected {last.connected}</span>
        <span>highest {most}</span>
      </figcaption>
    </figure>
  );
}
