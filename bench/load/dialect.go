package load

// Dialect is the protocol of a server. The client calls it from one goroutine.
type Dialect interface {
	// Upgrade returns the HTTP request that opens the WebSocket, nil if the server sends frames at once.
	Upgrade(c Identity) []byte
	// Hello returns the first message after the upgrade, nil if there is none. A Welcome record must follow in both cases.
	Hello(c Identity) []byte
	// Subscribe returns a message that requests topics, nil if the server sends all events to all clients.
	Subscribe(topics []uint32) []byte
	// Batch returns the number of topics that one Subscribe may request.
	Batch() int
	// Separator returns the byte between the records of a message.
	Separator() byte
	// Classify classifies a record without a mark.
	Classify(record []byte) Record
	// Pong returns the answer to a Ping record, nil if there is none.
	Pong() []byte
	// KeepAlive returns the message that a client must send every 15 seconds, nil if there is none.
	KeepAlive() []byte
}

// Identity identifies a connection.
type Identity struct {
	Organization int
	Group        string
	Index        int
}

// RecordKind is the kind of a record without a mark.
type RecordKind uint8

// The kinds of records.
const (
	Other RecordKind = iota
	Welcome
	Subscribed
	Refused
	Ping
)

// Record is the result of Classify. Topics is the number of subscriptions that a Subscribed record confirms. If a
// server confirms all requests alike, each Welcome record after the first one counts as Subscribed.
type Record struct {
	Kind   RecordKind
	Topics int
}
