package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The packages with tests of rows.
const (
	transport   = "internal/transport"
	hubprotocol = "internal/transport/hubprotocol"
	websocket   = "internal/transport/websocket"
	hub         = "internal/hub"
	clients     = "test/clients"
	rfc6455     = "test/clients/rfc6455"
	e2e         = "test/e2e"
)

// row is one property of a compatible server.
type row struct {
	id, what string
	// tests are additional tests of the row. Tests of internal/transport whose names begin with Test and the row's id
	// always belong to it. The form for other packages is "test/e2e.TestTwoNodes".
	tests []string
}

// section is a table of the page.
type section struct {
	title string
	rows  []row
}

// sections are the tables of the server. The clients have another table.
func sections() []section {
	return []section{
		{"Negotiate (1.1)", []row{
			{"N1", "`POST {hub}/negotiate` only; other methods get 405, `text/plain`, no body.", nil},
			{"N2", "No body is needed. Names of query parameters are case-insensitive; unknown parameters are ignored.", nil},
			{"N3", "200, `application/json` without a charset, Content-Length, one object and nothing after it.", nil},
			{"N4", "Version: absent is 0, not an integer or below the minimum is an error, above 1 is answered as 1.", nil},
			{
				"N5", "Version 1: `negotiateVersion`, `connectionId`, `connectionToken`, `availableTransports`, in this order.",
				nil,
			},
			{"N6", "Version 0: no `connectionToken`; the WebSocket URL takes the `connectionId`.", nil},
			{
				"N7",
				"`useStatefulReconnect` is written, first, only for a client that asks for it, and not with version 0.",
				[]string{clients + ".TestStatefulReconnect_hidesCuts"},
			},
			{
				"N8", "The connection id is 22 characters and public, the token secret; both need no escaping in a URL.",
				[]string{"TestTokens"},
			},
			{"N9", "An error is `{\"error\":\"...\"}` with status 200.", nil},
			{
				"N10", "No redirects: any node with the same secret accepts the connection token of another.",
				[]string{e2e + ".TestTwoNodes"},
			},
			{
				"N11", "The transports that are configured are listed, in ASP.NET Core's order; by default only WebSockets.",
				[]string{"TestNegotiate_listsTransports"},
			},
			{"N12", "An id that is not used within 15 s expires; then 404.", []string{"TestTokens_Expire"}},
			{"N13", "No value is null.", nil},
			{
				"CORS",
				"The exact origin is echoed if it is configured, with credentials, on every answer; preflights need no token.",
				[]string{clients + ".TestOrigins"},
			},
		}},
		{"Tokens (1.2)", []row{
			{
				"1.2",
				"`Authorization: Bearer` or `access_token`, at negotiate and at the upgrade; 401 before any upgrade. Different " +
					"tokens " +
					"in one request are refused with 400. The token of the WebSocket may differ but must belong to the same user.",
				[]string{"TestToken", "TestToken_AnotherForTheWebSocket", e2e + ".TestTokens"},
			},
		}},
		{"The hub's own path (1.3)", []row{
			{
				"1.3",
				"WebSocket without id: a new connection. Unknown, expired or used id: 404. Id in use: 409. Requests of other " +
					"transports: 400, 404 or 405 with ASP.NET Core's texts. The path is case-insensitive and may have a trailing " +
					"slash.",
				[]string{"TestEndpoint", "TestEndpoint_TokenRace", "TestTokens_Expire", "TestUpgrade_Malformed"},
			},
		}},
		{"WebSocket (1.4)", []row{
			{"W1", "No subprotocol is selected.", nil},
			{"W2", "Compression is declined, unless `compression.deflate` is on.", nil},
			{
				"W3",
				"Text frames for JSON, binary ones for MessagePack, also for the answer to the handshake; errors of the " +
					"handshake are text.",
				nil,
			},
			{"W4", "The frame type of clients does not matter.", nil},
			{"W5", "Hub messages may be split over WebSocket messages, and one of these may hold many.", nil},
			{"W6", "A WebSocket message of the server holds complete hub messages.", nil},
			{"W7", "Pings are answered; of several pings that arrive together, the last.", nil},
			{
				"W8",
				"After the Close message comes a Close frame 1000 without a reason; then the peer has 5 s. A Close frame of the " +
					"client is answered.",
				nil,
			},
			{"W9", "One send may block for 10 s.", []string{websocket + ".TestSocket_WriteAllHasATimeout"}},
			{
				"W10", "A violation of RFC 6455 gets a Close frame with its status and no Close message: the client may reconnect.",
				[]string{websocket + ".TestFrameReader", websocket + ".TestCheckClose"},
			},
			{"W11", "HTTP/1.1, with and without TLS in this process.", []string{"TestTLS"}},
			{
				"RFC 6455",
				"The cases of the Autobahn test suite in our words, against the program; a strict library as the client.",
				[]string{rfc6455 + ".TestRFC6455", websocket + ".TestFrameReader", "TestIndependentClient"},
			},
			{
				"Autobahn", "The Autobahn test suite itself, in all cases that apply to a hub. See below.",
				[]string{rfc6455 + ".TestAutobahn"},
			},
		}},
		{"Server-Sent Events and long polling", []row{
			{
				"Event stream",
				"The headers and the first bytes of the stream; a POST for what the client sends; whole messages in each event; " +
					"a second GET is 409; other transports and other users are refused; a Close message, then the end.",
				[]string{
					"TestServerSentEvents", "TestServerSentEvents_Accept", "TestServerSentEvents_dropped",
					"TestServerSentEvents_receivesEvents", "TestServerSentEvents_refusesMessagePack",
				},
			},
			{
				"Poll",
				"The first GET is answered at once, each further one with all that waits, or after 90 s without; a younger one " +
					"replaces it with 204; 204 at the end, then 404; DELETE; none of them is cached; a client that polls no more " +
					"for 15 s is gone.",
				[]string{
					"TestLongPolling", "TestLongPolling_closedByTheClient", "TestLongPolling_halfOpen",
					"TestLongPolling_messagePack", "TestLongPolling_missingPoll",
					"TestLongPolling_otherUserWhereTokensAreRefreshed", "TestLongPolling_pollEndsInTime", "TestLongPolling_tokens",
				},
			},
			{
				"Same session",
				"Bounds, conflation, quotas, drain, expiry and revocation are those of WebSockets.",
				[]string{
					"TestFallback_closeMessages", "TestFallback_posts", "TestFallback_postsWaitForTheirTurn", "TestFallback_quotas",
					"TestLongPolling_conflates", "TestLongPolling_expires", "TestLongPolling_fullAndAbandoned", "TestLongPolling_slow",
				},
			},
			{
				"Other nodes", "Any request of a connection may reach any node where nodes pass requests on; otherwise 404.",
				[]string{
					"TestFallback_onAnotherNodeWithoutARelay", "TestRelay_beginsOnTheNodeOfTheToken",
					"TestRelay_longPolling", "TestRelay_serverSentEvents", "TestRelay_ticketOpensStream",
				},
			},
		}},
		{"Handshake (1.5)", []row{
			{
				"1.5",
				"JSON for all protocols; `{}` before the session is opened; messages right behind it are processed; names in any " +
					"case; " +
					"versions up to 2. Errors in ASP.NET Core's words, within 15 s and 32768 bytes, then Close 1000.",
				[]string{
					"TestHandshake_Accepted", "TestHandshake_Failed", "TestHandshake_Largest", "TestHandshake_Timeout",
					"TestW5_StreamOfBytes",
				},
			},
		}},
		{"Messages (1.6, 1.10)", []row{
			{
				"1.6", "JSON as ASP.NET Core writes it; every order of properties, unknown ones, headers and stream ids are read.",
				[]string{
					hubprotocol + ".TestJSONDecode", hubprotocol + ".TestJSONDecode_Malformed", hubprotocol + ".TestJSONEncode",
					hubprotocol + ".TestJSONEncoder", hubprotocol + ".TestEncoders_Lengths",
				},
			},
			{"1.10", "MessagePack byte by byte, property names as in C# unless configured otherwise.", []string{
				hubprotocol + ".TestMessagePackDecode", hubprotocol + ".TestMessagePackDecode_Malformed",
				hubprotocol + ".TestMessagePackEncode_Bytes", hubprotocol + ".TestMessagePackEncode_Results",
				hubprotocol + ".TestMessagePackEncoder", hubprotocol + ".TestMessagePackToJSON",
			}},
		}},
		{"Calls (1.7)", []row{
			{
				"D1", "Methods by name in any case; only the five methods can be called.",
				[]string{hub + ".TestH8_onlyTheFiveMethods"},
			},
			{
				"D2", "The calls of one connection run one at a time, in order.",
				[]string{hub + ".TestH9_callsOfASessionRunOneAtATime"},
			},
			{
				"D3", "A call without an id is never answered, not even with an error.",
				[]string{hub + ".TestInvoke_withoutIDIsNeverAnswered"},
			},
			{"D4", "Unknown types of messages are ignored.", nil},
			{"D5", "Messages about calls that do not exist are ignored, as are Ack and Sequence; pings are not answered.", nil},
			{"D6", "A Close message is answered by one, then Close 1000.", nil},
			{"D7", "A malformed message ends the connection with ASP.NET Core's error and allows reconnecting.", nil},
			{"D8", "So does a hub message above `limits.message_bytes`, in any number of WebSocket messages.", nil},
			{"D9", "A session that cannot be opened ends and forbids reconnecting.", nil},
			{
				"D10", "A session that the server ends for good forbids reconnecting.",
				[]string{"TestHandshake_Revoked", hub + ".TestCloseIf_closesThoseThatMatch"},
			},
			{
				"1.7", "Errors in ASP.NET Core's words.",
				[]string{"TestErrorTexts", hub + ".TestH8_unboundArgumentsAreRefusedLikeASPNET"},
			},
		}},
		{"Keep-alive, close and drain (1.8, 1.9)", []row{
			{
				"1.8",
				"A ping every 15 s; the client may send no message for 30 s, counted from its first ping and not while a call " +
					"runs. WebSocket pings are no messages.",
				[]string{
					"TestKeepAlive", "TestKeepAlive_ServerPings", "TestKeepAlive_ClientTimeout",
					"TestKeepAlive_PausedWhileAnInvocationRuns", "TestKeepAlive_webSocketPingsAreNoSignOfLife",
				},
			},
			{
				"1.9",
				"A node that stops refuses new connections with 503 and closes its clients over a period, and allows them to " +
					"reconnect.",
				[]string{"TestDrain", "TestShutdown_Aborts"},
			},
			{
				"Hostile clients", "Each gets the answer of these tables or a clean close, and other clients are not affected.",
				[]string{"TestHostile"},
			},
		}},
		{"Load balancer without sticky sessions (2)", []row{
			{
				"Any node", "A connection token of one node is valid on every other, once, for a short time, for the same user.",
				[]string{"TestTokens", "TestEndpoint_TokenRace", e2e + ".TestTwoNodes"},
			},
			{
				"HAProxy", "Every client plays its script through HAProxy, with TLS, each request on the next of three nodes.",
				[]string{clients + ".TestThreeNodes/script"},
			},
			{
				"Rolling restart", "All three nodes restart while 500 connections with automatic reconnect are open. None is lost.",
				[]string{clients + ".TestThreeNodes/restart", clients + ".TestThreeNodes/no_connection_of_the_herd_is_lost"},
			},
		}},
	}
}

// split divides the name of a row's test into package and name.
func split(test string) (pkg, name string) {
	if i := strings.Index(test, ".Test"); i >= 0 {
		return test[:i], test[i+1:]
	}
	return transport, test
}

// allTests returns the tests of a row. known are the tests of internal/transport.
func (r row) allTests(known []string) []string {
	tests := slices.Clone(r.tests)
	for _, name := range known {
		if strings.HasPrefix(name, "Test"+r.id+"_") {
			tests = append(tests, name)
		}
	}
	slices.Sort(tests)
	return tests
}

// testNames returns the names of the tests in a folder.
func testNames(root fs.FS, dir string) ([]string, error) {
	files, err := fs.Glob(root, path.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		source, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read the tests of %s: %w", dir, err)
		}
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names, nil
}
