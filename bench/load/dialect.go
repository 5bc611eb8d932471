package load

// Dialect is how a server is spoken to. The client calls it from one goroutine.
type Dialect interface {
	// Upgrade is the HTTP request that opens the WebSocket; nil if the server sends frames right away.
	Upgrade(c Identity) []byte
	// Hello is the first message after the upgrade; nil if there is none. A Welcome record has to follow either way.
	Hello(c Identity) []byte
	// Subscribe is one message that asks for topics; nil if the server sends everything to everybody.
	Subscribe(topics []uint32) []byte
	// Batch is how many topics one Subscribe may ask for.
	Batch() int
	// Separator is the byte between the records of a message.
	Separator() byte
	// Classify says what a record without a mark is.
	Classify(record []byte) Record
	// Pong answers a Ping record; nil if it wants no answer.
	Pong() []byte
	// KeepAlive is what a client has to send at least every 15 seconds; nil if nothing.
	KeepAlive() []byte
}

// Identity says which connection is meant.
type Identity struct {
	Organization int
	Group        string
	Index        int
}

// RecordKind says what a record without a mark is.
type RecordKind uint8

// The kinds of records.
const (
	Other RecordKind = iota
	Welcome
	Subscribed
	Refused
	Ping
)

// Record is what Classify saw. Topics counts the subscriptions that a Subscribed record confirms.
type Record struct {
	Kind   RecordKind
	Topics int
}
