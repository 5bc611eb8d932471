import { effect, signal } from "@preact/signals";
import { Developer } from "./boards/developer.tsx";
import { Supervisor } from "./boards/supervisor.tsx";
import { Wall } from "./boards/wall.tsx";
import { ago, timeOfDay } from "./format.ts";
import { centre, frame, freshness, time } from "./live.ts";

const boards = { wall: "Wall", supervisor: "Supervisor", developer: "Developer" } as const;
type Board = keyof typeof boards;

const boardOf = (hash: string): Board => (hash.slice(1) in boards ? (hash.slice(1) as Board) : "wall");
const board = signal<Board>(boardOf(location.hash));
addEventListener("hashchange", () => (board.value = boardOf(location.hash)));
effect(() => {
  document.title = `${boards[board.value]} – rte-server wallboard`;
  document.documentElement.dataset["board"] = board.value;
});
effect(() => {
  document.documentElement.dataset["freshness"] = freshness.value.kind;
});

/** App is the page: the bar of every board, a warning, and the board. */
export function App() {
  frame.value; // draws again
  const { kind } = freshness.value;
  return (
    <>
      <header class="bar">
        <h1>rte-server <span>demo call centre</span></h1>
        <nav aria-label="Boards">
          {Object.entries(boards).map(([name, title]) => (
            <a href={`#${name}`} aria-current={board.value === name ? "page" : undefined}>{title}</a>
          ))}
        </nav>
        <p class="scenario">{centre.scenario && `scenario ${centre.scenario}`}</p>
        {board.value === "wall" && document.fullscreenEnabled && (
          <button type="button" class="quiet" onClick={() => void document.documentElement.requestFullscreen()}>
            Full screen
          </button>
        )}
        <p id="connection" class="connection" role="status" data-state={kind}>
          {kind === "fresh" ? "live" : kind === "old" ? "not live" : "connecting"}
        </p>
      </header>
      <Warning />
      {centre.run === "" ? <Empty /> : board.value === "wall" ? <Wall /> : board.value === "supervisor" ? <Supervisor />
        : <Developer />}
    </>
  );
}

/** Warning states that the numbers are old. */
function Warning() {
  const { kind, reason, since } = freshness.value;
  if (kind !== "old") return null;
  return (
    <p class="warning" role="alert">
      <strong>Not live for {ago(Date.now() - since)}.</strong>{" "}
      The numbers are from {timeOfDay(time.value)}. Reason: {reason}.
    </p>
  );
}

/** Empty states why the board is empty. */
function Empty() {
  const { reason, since } = freshness.value;
  return (
    <main class="empty">
      <h2>Nothing to show yet</h2>
      <p><strong>{reason === "not started" ? "connecting" : reason}</strong></p>
      <p>for {ago(Date.now() - since)}</p>
      <p>The page tries again by itself. It needs the server that it came from: <code>rte-server dev</code>.</p>
    </main>
  );
}
