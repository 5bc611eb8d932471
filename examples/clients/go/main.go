// Command go prints the status of all queues of the demo call centre, and each change. It speaks the JSON hub protocol
// itself: the libraries for Go deliver events in any order.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
)

var server = cmp.Or(os.Getenv("RTE_SERVER"), "http://127.0.0.1:8080")

// item is an element of the argument of Subscribe.
type item struct{ EntityId, EventName string }

// message is a message of the hub protocol.
type message struct {
	Type      int             `json:"type"`
	Target    string          `json:"target"`
	Arguments json.RawMessage `json:"arguments"`
	Result    []struct {
		Subscribed bool   `json:"subscribed"`
		Message    string `json:"message"`
		EntityID   string `json:"entityId"`
	} `json:"result"`
	Error string `json:"error"`
}

// separator ends each message.
const separator = "\x1e"

func main() {
	var entities []struct{ EntityID, EntityType string }
	if err := fetch("/demo/entities", &entities); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var items []item
	for _, e := range entities {
		if e.EntityType == "Queue" {
			items = append(items, item{e.EntityID, "QueueStatus"})
		}
	}
	for failures := 0; ; failures++ {
		began := time.Now()
		err := serve(context.Background(), items)
		fmt.Println("behind:", err)
		if time.Since(began) > 10*time.Second {
			failures = 0
		}
		// Random: many clients lose their connections at the same time.
		longest := min(30*time.Second, time.Second<<min(failures, 5))
		time.Sleep(longest/2 + rand.N(longest/2))
	}
}

// serve connects, subscribes and prints events until the connection ends.
func serve(ctx context.Context, items []item) error {
	var access struct{ Token string }
	if err := fetch("/token/me/rte/", &access); err != nil { // a new token for each connection
		return err
	}
	conn, response, err := websocket.Dial(ctx, server+"/rte?features=snapshot", &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + access.Token}},
	})
	if response != nil && response.StatusCode == http.StatusUnauthorized {
		return errors.New("401: the token was refused")
	}
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(4 << 20)
	if err := send(ctx, conn, map[string]any{"protocol": "json", "version": 1}); err != nil {
		return err
	}
	invocation := map[string]any{"type": 1, "invocationId": "1", "target": "Subscribe", "arguments": []any{items}}
	if err := send(ctx, conn, invocation); err != nil {
		return err
	}
	go ping(ctx, conn)
	for {
		// The server pings every 15 s. Without a message for 30 s the network is gone.
		limit, cancel := context.WithTimeout(ctx, 30*time.Second)
		_, frame, err := conn.Read(limit)
		cancel()
		if err != nil {
			return err
		}
		for text := range bytes.SplitSeq(bytes.TrimSuffix(frame, []byte(separator)), []byte(separator)) {
			if err := handle(text); err != nil {
				return err
			}
		}
	}
}

// handle handles one message. An error ends the connection.
func handle(text []byte) error {
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	switch {
	case m.Type == 1 && m.Target == "MessageReceived":
		var arguments []struct {
			Data struct {
				QueueName              string
				NbrOfQueuingRequesters int
			}
		}
		if err := json.Unmarshal(m.Arguments, &arguments); err != nil {
			return err
		}
		fmt.Printf("%s: %d wait\n", arguments[0].Data.QueueName, arguments[0].Data.NbrOfQueuingRequesters)
	case m.Type == 3:
		for _, result := range m.Result {
			if result.Message == "Temporarily unavailable" {
				return errors.New(result.Message) // connects again later
			}
			if !result.Subscribed {
				fmt.Printf("%s: %s\n", result.EntityID, result.Message)
			}
		}
	case m.Type == 7, m.Error != "":
		return fmt.Errorf("the server closes the connection: %s", m.Error)
	}
	return nil
}

// ping keeps the connection alive until it ends.
func ping(ctx context.Context, conn *websocket.Conn) {
	for range time.Tick(15 * time.Second) {
		if send(ctx, conn, map[string]any{"type": 6}) != nil {
			return
		}
	}
}

func send(ctx context.Context, conn *websocket.Conn, m any) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, append(text, separator...))
}

func fetch(path string, into any) error {
	response, err := http.Get(server + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}
