// A live chart. The picture is for the eyes only: the text beside it has the latest values.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { dark } from "../theme.ts";

/** Line is one line of a chart. NaN is a hole. */
export interface Line {
  readonly name: string;
  /** color is the name of a CSS variable. */
  readonly color: string;
  readonly values: readonly number[];
}

interface ChartOptions {
  readonly label: string;
  readonly times: readonly number[]; // in ms
  readonly lines: readonly Line[];
  readonly format: (n: number) => string;
  /** span is the time that the chart covers, in ms. */
  readonly span: number;
  /** least is the least that the scale shows; whole: its figures are whole numbers. */
  readonly least: number;
  readonly whole: boolean;
}

const variable = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const rem = (): number => Number.parseFloat(getComputedStyle(document.documentElement).fontSize);

/** Chart fills its frame, and follows its size and the theme. */
export function Chart({ label, times, lines, format, span, least, whole }: ChartOptions) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef({ format, span, least, whole });
  latest.current = { format, span, least, whole };
  const isDark = dark.value;
  const names = lines.map((l) => `${l.name} ${l.color}`).join();

  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(element, lines, latest), dataOf(times, lines), element);
    };
    make();
    let size = rem();
    const observer = new ResizeObserver(() => {
      if (rem() !== size) {
        size = rem();
        make();
      } else {
        plot.current?.setSize({ width: element.clientWidth, height: element.clientHeight });
      }
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, [isDark, names]);
  useEffect(() => {
    plot.current?.setData(dataOf(times, lines));
  }, [times]);

  return <div class="chart" ref={frame} role="img" aria-label={label} />;
}

function dataOf(times: readonly number[], lines: readonly Line[]): uPlot.AlignedData {
  return [times.map((t) => t / 1000), ...lines.map((l) => l.values.map((v) => (Number.isNaN(v) ? null : v)))];
}

function optionsOf(
  element: HTMLElement, lines: readonly Line[],
  latest: { readonly current: Pick<ChartOptions, "format" | "span" | "least" | "whole"> },
): uPlot.Options {
  const unit = rem();
  const axis: uPlot.Axis = {
    stroke: variable("--dim"), font: `${0.75 * unit}px ${variable("--sans")}`,
    grid: { stroke: variable("--grid"), width: 1 }, ticks: { show: false },
  };
  return {
    width: element.clientWidth, height: element.clientHeight,
    legend: { show: false }, cursor: { show: false }, padding: [unit * 0.4, unit * 1.2, 0, 0],
    scales: {
      x: {
        time: true,
        range: (_, __, max) => {
          const end = max ?? Date.now() / 1000;
          return [end - latest.current.span / 1000, end];
        },
      },
      y: { range: (_, __, max) => [0, Math.max((max ?? 0) * 1.15, latest.current.least)] },
    },
    axes: [
      {
        ...axis, size: unit * 1.5, gap: unit * 0.25, space: unit * 4.5,
        values: (_, splits) => splits.map((s) => clockOf(s)),
      },
      {
        ...axis, ...(latest.current.whole ? { incrs: wholes } : {}), size: unit * 3.2, gap: unit * 0.35, space: unit * 2.2,
        values: (_, splits) => splits.map((s) => latest.current.format(s)),
      },
    ],
    series: [
      {},
      ...lines.map((l, i) => ({
        label: l.name, stroke: variable(l.color), width: Math.max(1.5, unit / 9), points: { show: false },
        ...(i === 0 ? { fill: `${variable(l.color)}22` } : {}),
      })),
    ],
  };
}

/** wholes are the steps of a scale of whole numbers. */
const wholes = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();

const clockOf = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleTimeString("en-GB", {
    hour: "2-digit", minute: "2-digit", ...(seconds % 60 === 0 ? {} : { second: "2-digit" }),
  });
