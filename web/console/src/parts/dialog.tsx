import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { wordsOf } from "../api.ts";
import { plural } from "../format.ts";
import { announce } from "./notices.tsx";

/** Dialog is a modal dialog. The browser keeps the focus inside, and gives it back at the end. */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog ref={element} aria-labelledby={id} onClose={close}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** Question is a question that an operator confirms. */
export interface Question {
  readonly title: string;
  readonly text: ComponentChildren;
  /** clients is the number of clients that the action concerns. */
  readonly clients: number;
  /** action is the word on the button. */
  readonly action: string;
}

const pending = signal<{ readonly question: Question; readonly answer: (yes: boolean) => void } | undefined>(undefined);

/** confirmed shows a question to the operator, and reports whether to go on. */
export function confirmed(question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    pending.value?.answer(false);
    pending.value = { question, answer: resolve };
  });
}

/** perform runs an action and announces how it ended. */
export async function perform(action: () => Promise<string>): Promise<boolean> {
  try {
    announce(await action());
    return true;
  } catch (error) {
    announce(wordsOf(error), "bad");
    return false;
  }
}

/** Confirmation shows the question that waits for an answer. */
export function Confirmation() {
  const open = pending.value;
  if (!open) return null;
  const end = (yes: boolean) => {
    pending.value = undefined;
    open.answer(yes);
  };
  const { title, text, clients, action } = open.question;
  return (
    <Dialog title={title} close={() => end(false)}>
      <p>{text}</p>
      <p class={`concerned ${clients > 0 ? "concerned-some" : ""}`}>
        This concerns <strong>{plural(clients, "client")}</strong>.
      </p>
      <div class="buttons">
        <button type="button" onClick={() => end(false)}>Keep everything as it is</button>
        <button type="button" class="danger" onClick={() => end(true)}>{action}</button>
      </div>
    </Dialog>
  );
}
