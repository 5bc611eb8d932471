package main

import (
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/rte-server/rte-server/test/dotnet/meant"
)

// head is the text above the tables.
const head = `<!-- Made by "make compatibility". The texts and tests are in test/clients/compat. -->

# Compatibility with ASP.NET Core SignalR

Each row is a property that a server needs so that clients cannot distinguish it from ASP.NET Core. It has the tests of
the property, and the number of checks that passed when this page was made. Comments in the code refer to the rows.
Tests without a package are tests of ` + "`internal/transport`" +
	`: they connect to a server with the real hub and fan-out.
`

// aboutClients is the text above the table of clients.
const aboutClients = `
## Clients

All clients play one script (` + "`test/clients`" +
	`) against the built program: against one node, and through HAProxy with TLS and
three nodes. A number counts the checks that passed; "` + notRun +
	`" means that the library cannot do this or was not available.

- *restart*: the server drains and stops; the client is asked to reconnect, is opened again, subscribes and receives
  events.
- *reconnects by itself*: the same with the library's automatic reconnect. Java's library has none. signalrcore makes
  one attempt at once, so it runs only with several nodes.
- *Server-Sent Events*, *long polling*: the script over that transport. Java knows no Server-Sent Events. signalrcore's
  long polling and philippseith/signalr's Server-Sent Events send no token with some of their requests.
- philippseith/signalr delivers events in any order; the script checks that none is missing and none arrives twice.
- Java's MessagePack is an artifact of its own (` + "`com.microsoft.signalr.messagepack`" +
	`) that some registries lack. The
  script runs with it where it is available. It does not support timestamps and drops every message that contains one,
  as almost all events do, from any server: use JSON with Java.
- The .NET clients (` + "`examples/dotnet`" + `) play where there is a ` + "`dotnet`" +
	` on the PATH. *Newtonsoft* is JSON with
  ` + "`AddNewtonsoftJsonProtocol`" +
	`; 1.2.14 knows no other JSON. The packages of Newtonsoft and MessagePack are played with
  from version 8 on. 1.2.14 does not reconnect by itself. *HTTP/2 offered*: at the load
  balancer, besides HTTP/1.1.

`

// aboutAutobahn is the text below the tables of the server.
const aboutAutobahn = `
### Deviations from the Autobahn test suite

The suite expects an echo; a bridge makes it from answers of the hub. Cases with binary messages and with compression
are left out. In the other cases the server meets the suite's expectation, with these deliberate exceptions:

- 2.10, 2.11: the server answers only the last of several pings that arrive together, as RFC 6455 section 5.5.3 allows.
- 5.6 to 5.8, 5.19, 5.20: the server answers a ping that arrives together with the end of a message after that message.
- 6.*: text that is not UTF-8 ends the connection with a hub message about the error and status 1000, not with 1007, and
  not before the hub message is complete.
`

// aboutMeant is the text above the tables of differences.
const aboutMeant = `
## Differences that are meant

A test (` + "`test/dotnet`" +
	`) sends the same generated messages and requests, byte for byte, to the built program and to a hub
on ASP.NET Core 10.0.12, and compares the answers. It runs where there is a ` + "`dotnet`" +
	` on the PATH, and fails on any
difference that is not in these tables. Besides, with ` + "`auth.refresh`" +
	`, a token of another organization is refused as one of
another user, and a token that ends earlier than the one in force is answered with the lifetime in force.
`

// results has the results of the tests in the form of the page: by row or client, and by column.
type results func(row, column string) string

// writePage writes the page. root is the folder of the module.
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

// page returns the text of the page.
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
	writeMeant(&text)
	return text.String(), nil
}

// writeMeant writes where the server differs on purpose, as the differential test has it.
func writeMeant(text *strings.Builder) {
	text.WriteString(aboutMeant)
	for _, table := range []struct {
		title string
		rows  []meant.Difference
	}{{"message", meant.Messages()}, {"request", meant.Requests()}} {
		text.WriteString("\n")
		writeRow(text, []string{table.title, "ASP.NET Core", "rte-server", "why"})
		writeRow(text, []string{"---", "---", "---", "---"})
		for _, d := range table.rows {
			writeRow(text, []string{d.Name, d.Theirs, d.Ours, d.Why})
		}
	}
}

func writeRow(w io.Writer, cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }
