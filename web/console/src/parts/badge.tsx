import type { ComponentChildren } from "preact";

export type Tone = "ok" | "warn" | "bad" | "info" | "mute";

/** Badge is a word with a colour and a mark. The mark has its own form for people who do not see the colour. */
export function Badge({ tone, title, children }: { tone: Tone; title?: string; children: ComponentChildren }) {
  return <span class={`badge badge-${tone}`} title={title}><Mark tone={tone} />{children}</span>;
}

/** Mark is the form of a tone: a circle, a triangle, a square, a ring. */
export function Mark({ tone }: { tone: Tone }) {
  return (
    <svg class={`mark mark-${tone}`} viewBox="0 0 12 12" aria-hidden="true">
      {tone === "ok" && <path d="M2 6.5 5 9.5 10 3" class="stroke" />}
      {tone === "warn" && <path d="M6 1 11.5 11h-11z" />}
      {tone === "bad" && <path d="M3.5.5h5l3 3v5l-3 3h-5l-3-3v-5z" />}
      {tone === "info" && <circle cx="6" cy="6" r="4.5" class="stroke" />}
      {tone === "mute" && <path d="M2 6h8" class="stroke" />}
    </svg>
  );
}

/** toneOfState returns the tone of the state of a node. */
export function toneOfState(state: string): Tone {
  switch (state) {
    case "ready":
      return "ok";
    case "degraded":
      return "bad";
    case "draining":
    case "starting":
      return "warn";
    default:
      return "bad";
  }
}

/** toneOfOutcome returns the tone of the outcome of an event. */
export function toneOfOutcome(outcome: string): Tone {
  switch (outcome) {
    case "sent":
    case "matched":
    case "heard":
      return "ok";
    case "conflated":
    case "expired":
    case "uncertain":
    case "held_back":
    case "held":
    case "unknown":
      return "warn";
    case "refused":
    case "slow":
    case "failed":
    case "closed":
    case "lost":
    case "malformed":
    case "not_received":
    case "refused_by_policy":
    case "foreign_organization":
      return "bad";
    default:
      return "mute";
  }
}

/** wordOf makes words of a code such as not_subscribed. */
export const wordOf = (code: string): string => code.replaceAll("_", " ");
