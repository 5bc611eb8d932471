// Package meant lists where rte-server differs from ASP.NET Core SignalR on purpose. The differential test accepts
// these differences and no others; docs/compatibility.md shows them.
package meant

// Difference is one difference.
type Difference struct {
	// Name is what tests and the page call it.
	Name string
	// Theirs and Ours are what ASP.NET Core and rte-server do.
	Theirs, Ours string
	// Why is the reason.
	Why string
}

// Messages returns the differences between answers to messages of the hub protocols.
func Messages() []Difference {
	return []Difference{
		{
			"unknown types", "The connection hangs, up to 10.0.13.", "The message is ignored.",
			"A later version of the protocol may have more types. It is an error of ASP.NET Core.",
		},
		{
			"spelling of methods", "An error names the method as the hub has it.",
			"An error names the method as the client wrote it.",
			"The client finds its own text. Methods are found in any case by both.",
		},
		{
			"arguments of AvailableSubscriptions", "Arguments fail the call.", "Arguments are ignored.",
			"The published sample passes an argument.",
		},
		{
			"null for a list", "The hub decides; ours for the comparison throws.", "The argument does not bind: the call fails.",
			"`null` is no list of subscriptions.",
		},
		{
			"invalid UTF-8", "A text frame ends the connection with status 1007; in MessagePack the id comes back with U+FFFD.",
			"The message is malformed: the Close message says so, and the status is 1000; in MessagePack the id comes back as " +
				"it was.",
			"Hub messages may be split over frames of either type, so frames are not checked one by one.",
		},
		{
			"half a character", "A lone surrogate ends the connection.", "A lone surrogate is read as U+FFFD.",
			"Nothing depends on it, and JSON allows it.",
		},
		{
			"strict JSON", "What stands behind the object, and values that nothing reads, may be anything.",
			"A message that is not exactly one JSON value is malformed.",
			"Whoever sends it is broken or hostile, and a gateway may read it otherwise than we do.",
		},
		{
			"names that occur twice", "Which of them counts depends on the name.",
			"The last one counts, and each has to be of the right type.",
			"No client sends them.",
		},
		{
			"an id that is null", "`\"invocationId\":null` ends the connection.", "It is a call without an id.",
			"Clients that are not Microsoft's write it.",
		},
		{
			"items of streams", "A message with an item of a stream that does not exist is not read further.",
			"It is checked as a whole.", "The hub has no streams, and one reader for all messages is simpler.",
		},
		{
			"messages that nothing is done with", "They are checked as a whole.",
			"Ack, Sequence, Completion, StreamItem, Cancel and Close are read as far as they matter.",
			"Without streams and client results nothing depends on their content.",
		},
		{
			"properties of other types",
			"`item`, `result`, `sequenceId` in a call are checked; a call with an `item` is lost without an answer.",
			"Properties that a type does not have are ignored.", "A call gets an answer.",
		},
		{
			"calls of streams", "A streaming call without an id is ignored; of several errors another one is reported.",
			"A streaming call without an id is malformed.",
			"The hub has no streams: a client that calls one is wrong in any case.",
		},
		{
			"stream ids", "In MessagePack, stream ids that are nil or no texts end the connection.", "They are read as none.",
			"The hub has no streams.",
		},
		{
			"lengths that are wrong", "The call is answered; what follows is read as anything.", "The connection ends.",
			"Nothing that follows can be trusted.",
		},
	}
}

// Requests returns the differences between answers to HTTP requests.
func Requests() []Difference {
	return []Difference{
		{
			"paths beside the hub", "404 without a body.", "404 with a body, `404 page not found`.",
			"The body helps who tries it by hand.",
		},
		{
			"escaped paths", "Characters of the path that are escaped needlessly, such as `/%72te`, are decoded.",
			"The path counts as it was sent: 404.",
			"A proxy with rules for paths sees the path that counts here. No client escapes it.",
		},
		{
			"malformed upgrades", "A malformed upgrade is no upgrade: 400 `Connection ID required`.",
			"426 for another version, 400 `The WebSocket upgrade is malformed.` for the rest.",
			"RFC 6455 section 4.4 wants 426, and the text says what is wrong.",
		},
		{
			"semicolons in a query", "A semicolon is part of a value.", "A parameter with a semicolon is not read.",
			"Proxies differ on whether it separates parameters, so nothing may depend on it. No client writes one.",
		},
		{
			"content type of 404", "404 `No Connection with that ID` without a Content-Type where it is an upgrade.",
			"The same with `text/plain`.", "Both have the text; no client reads either.",
		},
		{
			"transfer encodings", "A request with a Transfer-Encoding is read.",
			"400 `Requests with a Transfer-Encoding are not accepted.`",
			"With a Content-Length beside it, a proxy may see other requests in the stream. No client sends a body in pieces.",
		},
		{
			"other users of a connection", "Version 10 serves requests of another user. Version 11 refuses them.",
			"403 `The user associated with this connection changed.`, as version 11.",
			"A connection belongs to a user. The connection token alone does not open it.",
		},
		{
			"POST before the first GET", "Version 10 keeps it until the GET comes. Version 11 answers 400.",
			"400, as version 11.",
			"Nothing is stored for a client that has only negotiated.",
		},
		{
			"the poll that waits at a DELETE", "Version 10 answers it with a Close message, version 11 with 204.",
			"204, as version 11.",
			"The client has ended the connection itself.",
		},
	}
}
