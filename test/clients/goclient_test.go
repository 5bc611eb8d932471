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

// asGoClient is the environment variable that makes the test's binary run as the adapter of philippseith/signalr.
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
	Transport       string
	RetryDelays     []int
	Target          string
	Args            []any
}

// goAdapter drives philippseith/signalr.
type goAdapter struct {
	mu          sync.Mutex // guards the following fields and the standard output
	connections map[int64]*goConnection
}

// runGoClient runs the adapter until the end of its standard input.
func runGoClient() {
	a := &goAdapter{connections: map[int64]*goConnection{}}
	a.print(map[string]any{"protocols": []string{"json", "messagepack"}})
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		var command goCommand
		if err := json.Unmarshal(scanner.Bytes(), &command); err != nil {
			panic(err)
		}
		go a.answer(&command)
	}
}

func (a *goAdapter) print(line map[string]any) {
	text, err := json.Marshal(encodable(line))
	if err != nil {
		panic(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	fmt.Println(string(text))
}

// encodable converts the maps in a value for JSON: the library's MessagePack has keys of any type.
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
		a.print(map[string]any{"id": command.ID, "error": err.Error()})
		return
	}
	a.print(map[string]any{"id": command.ID, "result": result})
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
		c.unwatch() // the library may or may not report this
		c.Stop()
		c.report("closed")
		return nil, nil
	}
}

// goConnection is a client of the library and its receiver.
type goConnection struct {
	signalr.Client
	adapter *goAdapter
	number  int64
	unwatch func()
}

// invoke calls a method. The library delivers the result and the absence of an error separately, in any order.
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
	c.adapter.print(map[string]any{"connection": c.number, "event": "message", "message": message})
}

// noLog is a logger for the library that logs nothing.
type noLog struct{}

func (noLog) Log(...any) error { return nil }

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
		// The library reads a MessagePack ping of the server only when more data follows, so it would close an idle
		// connection after 30 s.
		signalr.TimeoutInterval(time.Hour),
		signalr.WithReceiver(c), signalr.TransferFormat(format), signalr.Logger(noLog{}, false))
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
	return nil, errors.New("the state is unknown")
}

// dial opens a connection, with or without negotiation.
func dial(command *goCommand) (signalr.Connection, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	header := http.Header{"Authorization": {"Bearer " + command.Token}}
	if !command.SkipNegotiation {
		transport := signalr.TransportWebSockets
		if command.Transport != "" {
			transport = signalr.TransportType(command.Transport)
			ctx = context.Background() // the connection ends with it
		}
		return signalr.NewHTTPConnection(
			ctx, command.URL, signalr.WithTransports(transport),
			signalr.WithHTTPHeaders(func() http.Header { return header.Clone() }),
		)
	}
	target, err := url.Parse(strings.Replace(command.URL, "http", "ws", 1))
	if err != nil {
		return nil, err
	}
	// The connection ends with its context.
	return signalr.NewWebSocketConnection(context.Background(), target, "", header)
}

// watch reports the states of the connection. The library reports each attempt to reconnect, and its states may arrive
// out of order, so watch reports only success.
func (c *goConnection) watch(states <-chan signalr.ClientState) {
	for state := range states {
		switch state {
		case signalr.ClientConnected:
			c.report("reconnected")
		case signalr.ClientClosed:
			c.report("closed")
		}
	}
}

// report reports an event without an error: the library treats every end of a WebSocket as an error, and the error may
// be that of any pending write.
func (c *goConnection) report(event string) {
	c.adapter.print(map[string]any{"connection": c.number, "event": event, "error": ""})
}
