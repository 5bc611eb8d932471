// Makes NAME.svg of each NAME.dot of a folder: node render.mjs SOURCES TARGET
// Graphviz runs as WebAssembly, so that every machine makes the same bytes. The colors follow the scheme of the reader.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { instance } from "@viz-js/viz";

const [sources, target] = process.argv.slice(2);

/** The classes that the sources use. The background is part of the picture: it is readable on any page. */
const style = `
  .graph > polygon { fill: #ffffff; }
  text { fill: #1f2328; font-family: Helvetica, Arial, 'Liberation Sans', sans-serif; }
  .node polygon, .node path, .node ellipse { fill: #f6f8fa; stroke: #59636e; }
  .cluster polygon, .cluster path { fill: none; stroke: #8c959f; stroke-dasharray: 4 3; }
  .cluster text, .note text { fill: #59636e; }
  .note polygon { fill: none; stroke: none; }
  .ours polygon, .ours path { fill: #ddf4ff; stroke: #0969da; }
  .store path, .store polygon { fill: #fff8c5; stroke: #9a6700; }
  .edge path { stroke: #59636e; }
  .edge polygon { fill: #59636e; stroke: #59636e; }
  .event path { stroke: #1a7f37; stroke-width: 2; }
  .event polygon { fill: #1a7f37; stroke: #1a7f37; }
  @media (prefers-color-scheme: dark) {
    .graph > polygon { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .node polygon, .node path, .node ellipse { fill: #21262d; stroke: #9198a1; }
    .cluster polygon, .cluster path { fill: none; stroke: #656c76; }
    .cluster text, .note text { fill: #9198a1; }
    .note polygon { fill: none; stroke: none; }
    .ours polygon, .ours path { fill: #121d2f; stroke: #4493f8; }
    .store path, .store polygon { fill: #272115; stroke: #d29922; }
    .edge path { stroke: #9198a1; }
    .edge polygon { fill: #9198a1; stroke: #9198a1; }
    .event path { stroke: #3fb950; }
    .event polygon { fill: #3fb950; stroke: #3fb950; }
  }
`;

const viz = await instance();
mkdirSync(target, { recursive: true });
for (const file of readdirSync(sources).filter((name) => name.endsWith(".dot"))) {
  const dot = readFileSync(join(sources, file), "utf8");
  // The comment at the beginning is the text for readers who do not see the picture.
  const description = /^\/\/ (.*)\n/.exec(dot)?.[1];
  if (!description) throw new Error(`${file} does not begin with a comment`);
  const svg = viz.renderString(dot, { format: "svg" })
    .replace(/^[^]*?<svg/, "<svg role=\"img\"")
    .replace(/<!--[^]*?-->\n/g, "")
    .replace(/<title>[^<]*<\/title>\n/g, "") // a browser would show the names of nodes
    .replace(/ xml:space="preserve"| font-family="[^"]*"| xmlns:xlink="[^"]*"/g, "")
    .replace(/(<svg[^>]*>\n)/, `$1<title>${description}</title>\n<style>${style}</style>\n`);
  writeFileSync(join(target, file.replace(/\.dot$/, ".svg")), svg);
}
