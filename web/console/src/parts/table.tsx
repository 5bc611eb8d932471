import type { ComponentChildren } from "preact";

/** Column describes a column of a table. */
export interface Column<T> {
  readonly name: string;
  readonly cell: (row: T) => ComponentChildren;
  /** number aligns to the right, with figures of one width. */
  readonly number?: boolean;
  /** unseen hides the name from the eyes: the picture in the cells needs none. */
  readonly unseen?: boolean;
  /** sorted marks the column by which the server has sorted. */
  readonly sorted?: boolean;
}

interface Options<T> {
  readonly caption: string;
  readonly rows: readonly T[];
  readonly columns: readonly Column<T>[];
  readonly keyOf: (row: T) => string;
  readonly toneOf?: (row: T) => "bad" | "warn" | undefined;
}

/** Table is a table with a caption for screen readers. It scrolls by itself where it is too wide, and the page does not. */
export function Table<T>({ caption, rows, columns, keyOf, toneOf }: Options<T>) {
  return (
    <div class="scroll" role="group" aria-label={caption} tabIndex={0}>
      <table>
        <caption class="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.name} scope="col" class={c.number ? "number" : ""} aria-sort={c.sorted ? "descending" : undefined}>
                {c.unseen ? <span class="visually-hidden">{c.name}</span> : c.name}{c.sorted && <span aria-hidden="true"> ↓</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const tone = toneOf?.(row);
            return (
              <tr key={keyOf(row)} class={tone && `row-${tone}`}>
                {columns.map((c) => <td key={c.name} class={c.number ? "number" : ""}>{c.cell(row)}</td>)}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

/** Facts is a list of names and values. */
export function Facts({ facts }: { facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

/** Meter shows a part of a whole as a bar. The text beside it has the number. */
export function Meter({ value, max, tone = "info" }: { value: number; max: number; tone?: string }) {
  const percent = max > 0 ? Math.max(Math.min((100 * value) / max, 100), 0) : 0;
  return (
    <svg class={`meter meter-${tone}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect class="meter-whole" width="100" height="6" rx="1" />
      <rect class="meter-part" width={percent} height="6" rx="1" />
    </svg>
  );
}
