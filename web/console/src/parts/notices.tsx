// Short messages about actions of the console. A live region passes them to screen readers.
import { signal } from "@preact/signals";
import type { Tone } from "./badge.tsx";
import { Mark } from "./badge.tsx";

interface Notice {
  readonly id: number;
  readonly text: string;
  readonly tone: Tone;
}

const notices = signal<readonly Notice[]>([]);
let last = 0;

/** announce shows a message for a while. A message about a failure stays until the operator closes it. */
export function announce(text: string, tone: Tone = "ok"): void {
  const id = ++last;
  notices.value = [...notices.value.slice(-3), { id, text, tone }];
  if (tone !== "bad") setTimeout(() => close(id), 6000);
}

function close(id: number): void {
  notices.value = notices.value.filter((n) => n.id !== id);
}

/** Notices shows the messages. */
export function Notices() {
  return (
    <div class="notices">
      <div role="status" aria-live="polite">
        {notices.value.filter((n) => n.tone !== "bad").map((n) => <One key={n.id} notice={n} />)}
      </div>
      <div role="alert">
        {notices.value.filter((n) => n.tone === "bad").map((n) => <One key={n.id} notice={n} />)}
      </div>
    </div>
  );
}

function One({ notice }: { notice: Notice }) {
  return (
    <div class={`notice notice-${notice.tone}`}>
      <Mark tone={notice.tone} />
      <p>{notice.text}</p>
      <button type="button" class="quiet" aria-label="Close the message" onClick={() => close(notice.id)}>✕</button>
    </div>
  );
}
