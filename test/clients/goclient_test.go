package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/philippseith/signalr"
)

// asGoClient is the environment variable that makes the test's binary the adapter of philippseith/signalr.
const asGoClient = "CLIENTS_TEST_GO"

// goCommand is a command of the adapter, as doc.go describes it.
type goCommand struct {
	ID              int64
	Do              string
	Connection      int64
	URL             string
	Token           string
	Protocol        string
	SkipNegotiation bool
	RetryDelays     []int
	Target          string
	Args            []any
}

// goAdapter drives philippseith/signalr.
type goAdapter struct {
	mu          sync.Mutex // guards the following fields and the standard output
	connections map[int64]*goConnection
}

// runGoClient is the adapter: it ends with its standard input.
func runGoClient() {
	a := &goAdapter{connections: map[int64]*goConnection{}}
	a.tell(map[string]any{"protocols": []string{"json", "messagepack"}})
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		var command goCommand
		if err := json.Unmarshal(scanner.Bytes(), &command); err != nil {
			panic(err)
		}
		go a.answer(&command)
	}
}

func (a *goAdapter) tell(line map[string]any) {
	text, err := json.Marshal(encodable(line))
	if err != nil {
		panic(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Println(string(text))
}

// encodable is a value with maps as JSON has them: the library's MessagePack has keys of any type.
func encodable(value any) any {
	switch value := value.(type) {
	case map[any]any:
		object := map[string]any{}
		for name, property := range value {
			object[fmt.Sprint(name)] = encodable(property)
		}
		return object
	case map[string]any:
		object := map[string]any{}
		for name, property := range value {
			object[name] = encodable(property)
		}
		return object
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = encodable(item)
		}
		return items
	default:
		return value
	}
}

func (a *goAdapter) answer(command *goCommand) {
	result, err := a.run(command)
	if err != nil {
		a.tell(map[string]any{"id": command.ID, "error": err.Error()})
		return
	}
	a.tell(map[string]any{"id": command.ID, "result": result})
}

func (a *goAdapter) run(command *goCommand) (any, error) {
	a.mu.Lock()
	c := a.connections[command.Connection]
	a.mu.Unlock()
	switch command.Do {
	case "open":
		c, err := a.open(command)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.connections[command.Connection] = c
		return nil, err
	case "invoke":
		return c.invoke(command.Target, command.Args)
	default:
		c.unwatch() // the library may or may not tell
		c.Stop()
		c.tell("closed")
		return nil, nil
	}
}

// goConnection is a client of the library, and what it calls back.
type goConnection struct {
	signalr.Client
	adapter *goAdapter
	number  int64
	unwatch func()
}

// invoke calls a method. The library hands over its result and the absence of an error one by one, in any order.
func (c *goConnection) invoke(target string, args []any) (result any, err error) {
	for answer := range c.Invoke(target, args...) {
		if answer.Value != nil {
			result = answer.Value
		}
		err = errors.Join(err, answer.Error)
	}
	return result, err
}

// MessageReceived is called by the library.
func (c *goConnection) MessageReceived(message any) {
	c.adapter.tell(map[string]any{"connection": c.number, "event": "message", "message": message})
}

// silent is a logger of the library that logs nothing.
type silent struct{}

func (silent) Log(...any) error { return nil }

// open connects.
func (a *goAdapter) open(command *goCommand) (*goConnection, error) {
	first, err := dial(command)
	if err != nil {
		return nil, err
	}
	c := &goConnection{adapter: a, number: command.Connection}
	connection := signalr.WithConnection(first)
	if len(command.RetryDelays) > 0 {
		connection = signalr.WithConnector(func() (signalr.Connection, error) {
			if conn := first; conn != nil {
				first = nil
				return conn, nil
			}
			return dial(command)
		})
	}
	format := signalr.TransferFormatText
	if command.Protocol == "messagepack" {
		format = signalr.TransferFormatBinary
	}
	c.Client, err = signalr.NewClient(context.Background(), connection,
		// The library sees a MessagePack ping of the server only when something comes behind it, and would give an idle
		// connection up after 30 s.
		signalr.TimeoutInterval(time.Hour),
		signalr.WithReceiver(c), signalr.TransferFormat(format), signalr.Logger(silent{}, false))
	if err != nil {
		return nil, err
	}
	states := make(chan signalr.ClientState, 16)
	c.unwatch = c.ObserveStateChanged(states)
	c.Start()
	for state := range states {
		switch state {
		case signalr.ClientConnected:
			go c.watch(states)
			return c, nil
		case signalr.ClientClosed:
			return nil, c.Err()
		}
	}
	return nil, errors.New("nobody tells the state")
}

// dial makes a connection, with negotiation or without.
func dial(command *goCommand) (signalr.Connection, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	header := http.Header{"Authorization": {"Bearer " + command.Token}}
	if !command.SkipNegotiation {
		return signalr.NewHTTPConnection(ctx, command.URL, signalr.WithHTTPHeaders(func() http.Header { return header.Clone() }))
	}
	target, err := url.Parse(strings.Replace(command.URL, "http", "ws", 1))
	if err != nil {
		return nil, err
	}
	// The connection lives as long as its context.
	return signalr.NewWebSocketConnection(context.Background(), target, "", header)
}

// watch tells what becomes of the connection. The library tells each attempt to reconnect, and its states may arrive in
// another order than they had, so only success counts.
func (c *goConnection) watch(states <-chan signalr.ClientState) {
	for state := range states {
		switch state {
		case signalr.ClientConnected:
			c.tell("reconnected")
		case signalr.ClientClosed:
			c.tell("closed")
		}
	}
}

// tell tells no error: the end of a WebSocket is one to the library, however regular, and may be that of whatever it
// was about to write.
func (c *goConnection) tell(event string) {
	c.adapter.tell(map[string]any{"connection": c.number, "event": event, "error": ""})
}
