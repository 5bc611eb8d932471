// Serves the page, and passes requests for the demo on, so that the page has one origin: node serve.mjs [PORT]
import { createReadStream } from "node:fs";
import { createServer, request } from "node:http";
import { connect } from "node:net";

const server = new URL(process.env.RTE_SERVER ?? "http://127.0.0.1:8080");
const files = {
  "/": ["index.html", "text/html"], "/page.js": ["page.js", "text/javascript"],
  "/rte-client.js": [process.env.RTE_CLIENT ?? "../../../clients/typescript/dist/browser.js", "text/javascript"],
};
const web = createServer((from, to) => {
  const [name, type] = files[from.url] ?? [];
  if (name) {
    to.setHeader("Content-Type", type);
    createReadStream(new URL(name, import.meta.url)).pipe(to);
    return;
  }
  const options = { host: server.hostname, port: server.port, path: from.url, method: from.method, headers: from.headers };
  from.pipe(request(options, (answer) => {
    to.writeHead(answer.statusCode, answer.headers);
    answer.pipe(to);
  }).on("error", () => to.writeHead(502).end()));
});
web.on("upgrade", (from, socket, head) => {
  const target = connect(Number(server.port), server.hostname, () => {
    const headers = from.rawHeaders.map((text, i) => text + (i % 2 ? "\r\n" : ": ")).join("");
    target.write(`${from.method} ${from.url} HTTP/1.1\r\n${headers}\r\n`);
    target.write(head);
    socket.pipe(target).pipe(socket);
  });
  const end = () => {
    socket.destroy();
    target.destroy();
  };
  target.on("error", end).on("close", end);
  socket.on("error", end).on("close", end);
});
web.listen(Number(process.argv[2] ?? 8000), "127.0.0.1", () => console.log(`http://127.0.0.1:${web.address().port}/`));
