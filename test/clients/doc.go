// Package clients plays one script with third-party client libraries: Microsoft's for JavaScript (in Node and in a
// browser), Java and .NET, one for Python and one for Go. It plays against one node, and through a load balancer with
// three nodes.
//
// The script is in script_test.go. A client is a process with an adapter (node/, java/, python/, goclient_test.go for
// Go, examples/dotnet for .NET), which does not know the script. It reads commands as lines of JSON from its standard
// input and prints lines of JSON. The first line is
//
//	{"protocols": ["json", "messagepack"]}
//
// Then the adapter answers commands in any order with {"id": 1, "result": ...} or {"id": 1, "error": "..."}. The test
// numbers the connections:
//
//	{"id": 1, "do": "open", "connection": 1, "url": "...", "token": "...", "protocol": "json",
//	    "skipNegotiation": true, "transport": "LongPolling", "retryDelays": [0, 100]}
//	{"id": 2, "do": "invoke", "connection": 1, "target": "Subscribe", "args": [...]}
//	{"id": 3, "do": "close", "connection": 1}
//
// The .NET adapter also opens with a tokenUrl, which it asks for each token. Version 11 opens with refreshBefore, too:
// it hands in a new token that many milliseconds before the old one expires. It then has a command "refresh", which
// does so at once, and prints the events "refreshed" and "refreshFailed". From version 8 on it opens with
// statefulReconnect, too. An "invoke" with a "call", which is a number, can be canceled by "cancel" with the same
// "call".
//
// skipNegotiation is absent or true. transport is absent, ServerSentEvents or LongPolling. With retryDelays, in
// milliseconds, the client reconnects automatically. The adapter prints events of a connection when they happen:
//
//	{"connection": 1, "event": "message", "message": ...}
//	{"connection": 1, "event": "reconnecting", "error": "..."}
//	{"connection": 1, "event": "reconnected"}
//	{"connection": 1, "event": "closed", "error": "..."}
//
// The adapter ends with its standard input.
package clients
