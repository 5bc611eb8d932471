package main

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// head is what stands above the tables.
const head = `<!-- Made by "make compatibility". What it says about tests is in test/clients/compat. -->

# Compatibility with ASP.NET Core SignalR

What a server has to do so that clients cannot tell it from ASP.NET Core, row by row, with the tests that show it and how
many of their checks passed when this page was made. Comments in the code name the rows. A test without a package is one of
` + "`internal/transport`" + `: it talks to a listening server through a socket, with the real hub and fan-out behind it.
`

// aboutClients stands above the table of clients.
const aboutClients = `
## Clients

All clients play one script (` + "`test/clients`" + `) against the built program: against one node, and through HAProxy with TLS and
three nodes. A number counts the checks that passed; "` + notRun + `" is what the library cannot do or was not there to do.

- *restart*: the server drains and stops; the client is told to come again, is opened again, subscribes and hears events.
- *reconnects by itself*: the same with the library's automatic reconnect. Java's has none. signalrcore tries once, at
  once, so it is asked only where another node is there.
- philippseith/signalr hands over events in any order; the script checks that none is missing and none comes twice.
- Java's MessagePack is an artifact of its own (` + "`com.microsoft.signalr.messagepack`" + `) that not every registry has. The script
  is played with it where it can be had. It knows no timestamps and drops every message that has one, as almost all
  events do, whatever server sends them: Java is better off with JSON.
- The .NET clients (` + "`examples/dotnet`" + `) play where there is a ` + "`dotnet`" + ` on the PATH. *Newtonsoft* is JSON with
  ` + "`AddNewtonsoftJsonProtocol`" + `; 1.2.14 knows no other JSON. The packages of Newtonsoft and MessagePack are played with
  from version 8 on. 1.2.14 does not reconnect by itself. *HTTP/2 offered*: at the load
  balancer, besides HTTP/1.1.

`

// aboutAutobahn stands behind the tables of the server.
const aboutAutobahn = `
### What the Autobahn test suite likes less

The suite wants an echo; a bridge lets a hub give one. Cases with binary messages and with compression are left out. In
the others the server does what the suite wants but for these, on purpose:

- 2.10, 2.11: of pings that come together only the last is answered, as RFC 6455 section 5.5.3 allows.
- 5.6 to 5.8, 5.19, 5.20: a ping that comes together with the end of a message is answered behind that message.
- 6.*: text that is not UTF-8 ends the connection with status 1000 behind a hub message that says so, not with 1007, and not
  before the hub message is complete.
`

// results are what became of the tests, as the page shows it: by row or client, and by column.
type results func(row, column string) string

// writePage writes the page; root is the directory of the module.
func writePage(w io.Writer, root fs.FS, o outcomes) error {
	known, err := testNames(root, transport)
	if err != nil {
		return err
	}
	var found results = func(row, column string) string {
		var t tally
		for _, s := range sections() {
			for _, r := range s.rows {
				if r.id != row {
					continue
				}
				for _, test := range r.allTests(known) {
					pkg, name := split(test)
					t.add(o[pkg], name, func(string) bool { return true })
				}
			}
		}
		for _, c := range columns() {
			if c.title == column {
				for _, test := range []string{"TestOneNode/", "TestThreeNodes/"} {
					t.add(o[clients], test+"script/"+row, c.wanted)
					t.add(o[clients], test+"restart/"+row, c.wanted)
				}
			}
		}
		return t.String()
	}
	text, err := page(root, found)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// page is the text of the page.
func page(root fs.FS, found results) (string, error) {
	known, err := testNames(root, transport)
	if err != nil {
		return "", err
	}
	all, err := allClients(root)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	text.WriteString(head)
	text.WriteString(aboutClients)
	titles := []string{"client"}
	for _, c := range columns() {
		titles = append(titles, c.title)
	}
	writeRow(&text, titles)
	writeRow(&text, strings.Split(strings.Repeat("---,", len(titles)-1)+"---", ","))
	for _, client := range all {
		cells := []string{client.title}
		for _, c := range columns() {
			cells = append(cells, strings.TrimSuffix(found(client.subtest, c.title), " passed"))
		}
		writeRow(&text, cells)
	}
	for _, s := range sections() {
		fmt.Fprintf(&text, "\n## %s\n\n", s.title)
		writeRow(&text, []string{"row", "what holds", "shown by", "result"})
		writeRow(&text, []string{"---", "---", "---", "---"})
		for _, r := range s.rows {
			tests := r.allTests(known)
			for i, test := range tests {
				tests[i] = "`" + test + "`"
			}
			writeRow(&text, []string{r.id, r.what, strings.Join(tests, ", "), found(r.id, "result")})
		}
		if s.title == "WebSocket (1.4)" {
			text.WriteString(aboutAutobahn)
		}
	}
	return text.String(), nil
}

func writeRow(w io.Writer, cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
