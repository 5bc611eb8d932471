import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Shared {
  readonly label: string;
  readonly name: string;
  readonly value?: string;
  readonly hint?: string;
}

interface TextOptions extends Shared {
  readonly type?: "text" | "password" | "number" | "datetime-local";
  readonly placeholder?: string;
  readonly pattern?: string;
  readonly required?: boolean;
  readonly wide?: boolean;
  readonly list?: readonly string[];
}

/** guidPattern is the pattern of a field for an id. */
export const guidPattern = "\\s*[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\\s*";

/** Text is a field with a label. */
export function Text({ label, name, value = "", hint, wide, list, type = "text", ...more }: TextOptions) {
  const id = useId();
  return (
    <div class={`field ${wide ? "field-wide" : ""}`}>
      <label for={id}>{label}</label>
      <input
        id={id} name={name} type={type as "text"} defaultValue={value} autocomplete="off" spellcheck={false}
        aria-describedby={hint ? `${id}-hint` : undefined} list={list && `${id}-list`} title={hint ?? ""} {...more}
      />
      {list && <datalist id={`${id}-list`}>{list.map((text) => <option key={text} value={text} />)}</datalist>}
      {hint && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

/** Choice is a list to choose from. */
export function Choice({ label, name, value = "", choices }: Shared & { choices: readonly (readonly [string, string])[] }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name}>
        {choices.map(([key, text]) => <option key={key} value={key} selected={key === value}>{text}</option>)}
      </select>
    </div>
  );
}

/** Area is a field of several lines. */
export function Area({ label, name, value = "", rows }: Shared & { rows: number }) {
  const id = useId();
  return (
    <div class="field field-all">
      <label for={id}>{label}</label>
      <textarea id={id} name={name} rows={rows} spellcheck={false} required defaultValue={value} />
    </div>
  );
}

interface FormOptions {
  readonly label: string;
  readonly send: (values: Record<string, string>) => void;
  /** reset makes a new form, with other values. */
  readonly reset?: string;
  readonly class?: string;
  readonly children: ComponentChildren;
}

/** Form collects its fields without spaces around them. */
export function Form({ label, send, reset = "", class: more = "", children }: FormOptions) {
  return (
    <form
      key={reset} class={`form ${more}`} aria-label={label}
      onSubmit={(event) => {
        event.preventDefault();
        const values: Record<string, string> = {};
        for (const [name, value] of new FormData(event.currentTarget)) {
          if (typeof value === "string") values[name] = value.trim();
        }
        send(values);
      }}
    >
      {children}
    </form>
  );
}
