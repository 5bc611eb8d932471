import { render } from "preact";
import { App } from "./app.tsx";
import { start } from "./live.ts";
import "./style.css";

render(<App />, document.getElementById("app")!);
void start();
