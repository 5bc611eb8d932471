package dotnet

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/vmihailenco/msgpack/v5"
)

// conversation is what a client sends in one connection: a handshake, a message, and a probe behind it that shows that
// the connection still works.
type conversation struct {
	name      string // of what was generated, for people
	handshake []byte // nil: the ordinary one of the protocol
	binary    bool   // whether the hub protocol is MessagePack
	message   []byte
}

// separator ends the messages of the JSON protocol.
const separator = 0x1e

// probe is a call that every hub answers.
const probe = `{"type":1,"invocationId":"probe","target":"UnsubscribeAll","arguments":[]}` + "\x1e"

// answerLimit is how long a server may take to answer. A slower server counts as silent. If that is not
// expected, the test asks again with a longer limit.
const answerLimit = 2 * time.Second

// outcome is what a server answered, in a form that can be compared.
type outcome []string

func (o outcome) String() string { return strings.Join(o, " | ") }

// play has the conversation with a hub.
func (c *conversation) play(ctx context.Context, hub, token string, answerLimit time.Duration) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, hub, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		return nil, err
	}
	if response.Body != nil {
		defer response.Body.Close()
	}
	defer func() { _ = conn.CloseNow() }() // it may have ended already
	conn.SetReadLimit(16 << 20)
	frames := [][]byte{c.handshake, c.message, []byte(probe)}
	if c.handshake == nil {
		frames[0] = []byte(`{"protocol":"json","version":1}` + "\x1e")
	}
	if c.binary {
		if c.handshake == nil {
			frames[0] = []byte(`{"protocol":"messagepack","version":1}` + "\x1e")
		}
		frames[2] = binaryProbe()
	}
	var found outcome
	// The handshake alone first: what comes after one that fails is not read in any case.
	if err := conn.Write(ctx, websocket.MessageText, frames[0]); err != nil {
		return nil, err
	}
	parser := &answers{binary: c.binary, answerLimit: answerLimit}
	if found = parser.next(
		ctx, conn, func(o outcome) bool { return len(o) > 0 },
	); len(found) != 1 || found[0] != "handshake {}" {
		return found, nil
	}
	kind := websocket.MessageText
	if c.binary {
		kind = websocket.MessageBinary
	}
	for _, frame := range frames[1:] {
		if err := conn.Write(ctx, kind, frame); err != nil {
			break // it has ended, which is read below
		}
	}
	return append(found, parser.next(ctx, conn, func(o outcome) bool {
		return strings.HasPrefix(o[len(o)-1], `3 "probe"`)
	})...), nil
}

// binaryProbe is probe in MessagePack.
func binaryProbe() []byte {
	return framed(encode([]any{1, map[string]any{}, "probe", "UnsubscribeAll", []any{}, []any{}}))
}

// answers makes hub messages of the bytes that come.
type answers struct {
	answerLimit time.Duration
	binary      bool
	shaken      bool // whether the answer to the handshake has come
	rest        []byte
}

// next reads until done holds for what has come, the connection ends, or nothing comes.
func (a *answers) next(ctx context.Context, conn *websocket.Conn, done func(outcome) bool) (found outcome) {
	for {
		read, cancel := context.WithTimeout(ctx, a.answerLimit)
		_, data, err := conn.Read(read)
		late := read.Err() != nil
		cancel()
		if err != nil {
			var closed websocket.CloseError
			switch {
			case errors.As(err, &closed):
				return append(found, fmt.Sprintf("closed %d", closed.Code))
			case late:
				return append(found, "silent")
			default:
				return append(found, "cut off")
			}
		}
		a.rest = append(a.rest, data...)
		for {
			text, ok := a.take()
			if !ok {
				break
			}
			if text != "" {
				found = append(found, text)
			}
		}
		if len(found) > 0 && done(found) {
			return found
		}
	}
}

// take returns the next message of the rest in its comparable form; empty for a ping.
func (a *answers) take() (text string, ok bool) {
	if !a.shaken || !a.binary {
		message, rest, found := bytes.Cut(a.rest, []byte{separator})
		if !found {
			return "", false
		}
		a.rest = rest
		if !a.shaken {
			a.shaken = true
			return "handshake " + string(message), true
		}
		return describeJSON(message), true
	}
	size, n := binary.Uvarint(a.rest)
	if n <= 0 || uint64(len(a.rest)) < uint64(n)+size {
		return "", false
	}
	var message []any
	err := msgpack.Unmarshal(a.rest[n:uint64(n)+size], &message)
	a.rest = a.rest[uint64(n)+size:]
	if err != nil {
		return "unreadable", true
	}
	return describeArray(message), true
}

// describeJSON brings a message of the JSON protocol into the form of describe.
func describeJSON(message []byte) string {
	var m struct {
		Type           int
		InvocationID   *string
		Error          *string
		Result         any
		AllowReconnect bool
		SequenceID     *int64
	}
	if err := json.Unmarshal(message, &m); err != nil {
		return "unreadable " + string(message)
	}
	switch m.Type {
	case 3:
		return describe(m.InvocationID, m.Error, m.Result)
	case 6:
		return ""
	case 7:
		return fmt.Sprintf("7 %s reconnect=%v", quoted(m.Error), m.AllowReconnect)
	default:
		return string(message)
	}
}

// describeArray brings a message of the MessagePack protocol into the form of describe.
func describeArray(message []any) string {
	kind, _ := number(message[0])
	switch {
	case kind == 3 && len(message) >= 4:
		id, _ := message[2].(string)
		var problem *string
		var result any
		if len(message) == 5 {
			if what, _ := number(message[3]); what == 1 {
				text, _ := message[4].(string)
				problem = &text
			} else {
				result = message[4]
			}
		}
		return describe(&id, problem, result)
	case kind == 6:
		return ""
	case kind == 7 && len(message) == 3:
		var problem *string
		if text, ok := message[1].(string); ok {
			problem = &text
		}
		return fmt.Sprintf("7 %s reconnect=%v", quoted(problem), message[2])
	default:
		return fmt.Sprint(message)
	}
}

// describe is a completion: of results only the form, for the hubs know different entities.
func describe(id, problem *string, result any) string {
	switch result := result.(type) {
	case []any:
		return fmt.Sprintf("3 %s array of %d", quoted(id), len(result))
	case nil:
		return fmt.Sprintf("3 %s error %s", quoted(id), quoted(problem))
	default:
		return fmt.Sprintf("3 %s %T", quoted(id), result)
	}
}

func quoted(text *string) string {
	if text == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *text)
}

func number(value any) (int64, bool) {
	switch n := value.(type) {
	case int8:
		return int64(n), true
	case uint8:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), true
	default:
		return 0, false
	}
}
