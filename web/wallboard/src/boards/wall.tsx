import { type Queue, serviceLevelOf } from "../centre.ts";
import { clock, isOpen, openTexts, percent, timeOfDay, whole, wordTexts } from "../format.ts";
import { centre, time } from "../live.ts";
import { Age } from "../parts/age.tsx";
import type { UserWord } from "../rest.ts";

/** The limits from which a figure is a warning, and an alarm. */
const limits = { wait: [20_000, 60_000], waiting: [3, 6], level: [0.8, 0.6], abandoned: [0.05, 0.1] } as const;

type Tone = "good" | "warn" | "bad" | "none";

const above = (value: number, [warn, bad]: readonly [number, number]): Tone =>
  value >= bad ? "bad" : value >= warn ? "warn" : "good";
const below = (value: number | undefined, [warn, bad]: readonly [number, number]): Tone =>
  value === undefined ? "none" : value < bad ? "bad" : value < warn ? "warn" : "good";

/** marks make tones visible without colours. */
const marks: Record<Tone, string> = { good: "", none: "", warn: "▲", bad: "▲▲" };

/** The words of users in the order of the bar. */
const words: readonly UserWord[] = ["free", "ringing", "talking", "calling", "parked", "wrapUp", "fetching", "away"];

/** Wall is the board that people read from the other end of the room. */
export function Wall() {
  const now = time.value;
  const sum = centre.sums();
  const wait = centre.longestWait(sum.longest, now);
  const ended = sum.answered + sum.abandoned;
  const abandoned = ended === 0 ? undefined : sum.abandoned / ended;
  const level = serviceLevelOf(sum);
  const queues = [...centre.queues.values()];
  const received = Math.min(Date.now(), ...queues.map((queue) => queue.receivedAt));
  return (
    <main class="wall">
      <section class="tiles" aria-label="All queues">
        <Tile name="level" title={`Answered within ${Math.round(centre.serviceLevel / 1000)} s`} value={whole(level)} unit="%"
          note={`${sum.inTime} of ${ended} calls`} tone={below(level, limits.level)} />
        <Tile name="longest" title="Longest wait" value={clock(wait)} note={sum.longest?.name ?? "no call waits"}
          tone={above(wait, limits.wait)} />
        <Tile name="waiting" title="Waiting" value={String(sum.waiting)} note={`${sum.ringing} more ringing`}
          tone={above(sum.waiting, limits.waiting)} />
        <Tile name="abandoned" title="Abandoned" value={whole(abandoned)} unit="%"
          note={`${sum.abandoned} of ${ended} calls`}
          tone={abandoned === undefined ? "none" : above(abandoned, limits.abandoned)} />
      </section>
      <Agents />
      <section class="queues" aria-label="Queues">
        <table>
          <thead>
            <tr>
              <th scope="col">Queue</th><th scope="col">Waiting</th><th scope="col">Longest</th>
              <th scope="col">In time</th><th scope="col" class="wide">Abandoned</th>
              <th scope="col" class="wide">Ringing</th><th scope="col" class="wide">On a call</th><th scope="col">Free</th>
            </tr>
          </thead>
          <tbody>{queues.map((queue) => <Row queue={queue} now={now} />)}</tbody>
        </table>
        {queues.length === 0 && <p class="hint">The organization has no queue.</p>}
        {queues.length > 0 && !queues.some((queue) => isOpen(queue.openStatus)) && (
          <p class="hint">All queues are closed: no call can come in.</p>
        )}
      </section>
      <footer>Figures since {timeOfDay(centre.started)} · <Age at={received} label="all queues updated" /></footer>
    </main>
  );
}

interface TileProps {
  readonly name: string;
  readonly title: string;
  readonly value: string;
  readonly unit?: string;
  readonly note: string;
  readonly tone: Tone;
}

function Tile({ name, title, value, unit, note, tone }: TileProps) {
  return (
    <article class="tile" data-tone={tone} data-name={name}>
      <h2>{title} <span class="mark">{marks[tone]}</span></h2>
      <p class="value">{value}{unit && <span class="unit">{unit}</span>}</p>
      <p class="note">{note}</p>
    </article>
  );
}

/** Agents is a bar of all agents at work, divided by their activity. */
function Agents() {
  const counts = centre.words();
  const shown = words.map((word) => ({ word, n: counts.get(word) ?? 0 })).filter(({ n, word }) => n > 0 || word === "free");
  const total = shown.reduce((sum, { n }) => sum + n, 0);
  const off = counts.get("offWork") ?? 0;
  return (
    <section class="agents-bar" aria-label={`Agents: ${total} at work, ${off} off work`}>
      {total === 0 && <p class="hint">No agent is at work.</p>}
      <ul>
        {shown.map(({ word, n }) => (
          <li data-word={word} style={{ flexGrow: String(Math.max(n, 0.6)) }}>
            <strong>{n}</strong> <span>{wordTexts[word]}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Row({ queue, now }: { queue: Queue; now: number }) {
  const wait = centre.longestWait(queue, now);
  const level = serviceLevelOf(queue.figures);
  const { answered, abandoned } = queue.figures;
  return (
    <tr data-queue={queue.id} data-open={isOpen(queue.openStatus)}>
      <th scope="row">
        {queue.name}
        <small>
          {!isOpen(queue.openStatus) && <em>{openTexts[queue.openStatus] ?? "unknown"} · </em>}
          <Age at={queue.receivedAt} />
        </small>
      </th>
      <td data-field="waiting" data-tone={above(queue.waiting, limits.waiting)}>{queue.waiting}</td>
      <td data-tone={above(wait, limits.wait)}>{clock(wait)}</td>
      <td data-tone={below(level, limits.level)}>{percent(level)}</td>
      <td class="wide">{percent(answered + abandoned === 0 ? undefined : abandoned / (answered + abandoned))}</td>
      <td class="wide" data-field="ringing">{queue.ringing}</td>
      <td class="wide" data-field="connected">{queue.connected}</td>
      <td data-field="free" data-tone={queue.free === 0 && queue.waiting > 0 ? "bad" : "none"}>{queue.free}</td>
    </tr>
  );
}
