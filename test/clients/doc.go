// Package clients plays one script with client libraries that we did not write: Microsoft's for JavaScript, in Node and
// in a browser, for Java and for .NET, one for Python and one for Go, against one node and through a load balancer with
// three.
//
// The script is in script_test.go. A client is a process that knows nothing of it: an adapter (node/, java/, python/,
// adapter_test.go for Go, examples/dotnet for .NET) that does what lines of JSON on its standard input say, and prints
// lines of JSON. It begins with
//
//	{"protocols": ["json", "messagepack"]}
//
// and then answers commands in any order, by {"id": 1, "result": ...} or {"id": 1, "error": "..."}. Connections have
// numbers, given by the one who opens them:
//
//	{"id": 1, "do": "open", "connection": 1, "url": "...", "token": "...", "protocol": "json",
//	    "skipNegotiation": true, "retryDelays": [0, 100]}
//	{"id": 2, "do": "invoke", "connection": 1, "target": "Subscribe", "args": [...]}
//	{"id": 3, "do": "close", "connection": 1}
//
// skipNegotiation is left out or true; with retryDelays, in milliseconds, the client reconnects by itself. What a
// connection tells by itself is printed as it happens:
//
//	{"connection": 1, "event": "message", "message": ...}
//	{"connection": 1, "event": "reconnecting", "error": "..."}
//	{"connection": 1, "event": "reconnected"}
//	{"connection": 1, "event": "closed", "error": "..."}
//
// The adapter ends with its standard input.
package clients
