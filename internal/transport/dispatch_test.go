package transport_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	closedWithError   = `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`
	closedWithErrorMP = "\x25\x93\x07\xd9\x20Connection closed with an error.\xc3"
)

func TestD1_MethodNames(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	for i, target := range []string{"UnsubscribeAll", "unsubscribeall", "UNSUBSCRIBEALL"} {
		if result, failure := w.call(fmt.Sprint(i), target); result != "true" {
			t.Errorf("%s: %s %s", target, result, failure)
		}
	}
	for i, target := range []string{
		"NoSuch", "OnConnectedAsync", "OnDisconnectedAsync", "OnConnected", "OnDisconnected", "Initialize", "Abort",
		"Close", "ConnectionID", "Context", "Items", "Clients", "Groups", "Logger", "Hub",
	} {
		want := "Failed to invoke '" + target + "' due to an error on the server. HubException: Method does not exist."
		if result, failure := w.call(fmt.Sprint(i), target); failure != want {
			t.Errorf("%s: %s %s", target, result, failure)
		}
	}
}

// No message overtakes a running invocation.
func TestD2_OneAtATimeInOrder(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	s.lanes.blocked.Lock()
	w.text(
		`{"type":1,"invocationId":"slow","target":"Subscribe",` +
			`"arguments":[[{"EntityId":"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"QueueStatus"}]]}` + separator,
	)
	const count = 1000
	var calls strings.Builder
	for i := range count {
		fmt.Fprintf(&calls, `{"type":1,"invocationId":"%d","target":"UnsubscribeAll","arguments":[]}`+separator, i)
	}
	w.text(calls.String())
	s.eventually("the server reads on behind the first invocation", func() bool {
		return s.count("rte_transport_received_messages_total", "type", "invocation") > 1
	})
	s.lanes.blocked.Unlock()
	if result, failure := w.completion("slow"); !strings.Contains(result, `"subscribed":true`) {
		t.Error(result, failure)
	}
	for i := range count {
		if result, failure := w.completion(fmt.Sprint(i)); result != "true" {
			t.Fatal(result, failure)
		}
	}
}

func TestD3_NoIDNoAnswer(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	for _, message := range []string{
		`{"type":1,"target":"NoSuch","arguments":[]}`,
		`{"type":1,"invocationId":"","target":"NoSuch","arguments":[]}`,
		`{"type":1,"invocationId":null,"target":"Subscribe","arguments":[1,2,3]}`,
		`{"type":1,"target":"UnsubscribeAll","arguments":[]}`,
	} {
		w.text(message + separator)
	}
	if result, failure := w.call("1", "UnsubscribeAll"); result != "true" {
		t.Error(result, failure)
	}
	packed := s.open("messagepack")
	packed.binary([]byte("\x0c\x95\x01\x80\xc0\xa6NoSuch\x90"))
	packed.binary([]byte("\x0c\x95\x01\x80\xa0\xa6NoSuc!\x90"))
	packed.expectNothing()
}

func TestD4_UnknownTypesAreIgnored(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	w.text(`{"type":10}` + separator + `{"type":99,"x":[1]}` + separator + `{"type":-1}` + separator)
	if result, failure := w.call("1", "UnsubscribeAll"); result != "true" {
		t.Error(result, failure)
	}
	packed := s.open("messagepack")
	packed.binary([]byte("\x02\x91\x0a\x03\x92\x63\xc0"))
	packed.expectNothing()
	if n := s.count("rte_transport_received_messages_total", "type", "ignored"); n != 5 {
		t.Errorf("%v messages counted", n)
	}
}

func TestD5_UnknownIDsAreIgnored(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	for _, message := range []string{
		`{"type":2,"invocationId":"9","item":1}`, `{"type":3,"invocationId":"9","result":null}`,
		`{"type":5,"invocationId":"9"}`, `{"type":8,"sequenceId":1}`, `{"type":9,"sequenceId":1}`, `{"type":6}`,
	} {
		w.text(message + separator)
	}
	w.expectNothing()
	packed := s.open("messagepack")
	packed.binary([]byte("\x06\x94\x02\x80\xa1\x39\x01" + "\x06\x94\x03\x80\xa1\x39\x02" + "\x05\x93\x05\x80\xa1\x39" +
		"\x03\x92\x08\x24" + "\x04\x92\x09\xcc\xc8" + "\x02\x91\x06"))
	packed.expectNothing()
}

func TestD6_ClientCloses(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	w.text(`{"type":7,"error":"mine"}` + separator)
	w.expectText(`{"type":7}`)
	w.expectClose(1000)
	packed := s.open("messagepack")
	packed.binary([]byte{3, 0x92, 7, 0xc0})
	packed.expect(opBinary, "\x04\x93\x07\xc0\xc2")
	packed.expectClose(1000)
	s.eventually("the sessions are closed", func() bool { return s.Connections() == 0 })
	if n := s.count("rte_hub_sessions_closed_total", "reason", "client"); n != 2 {
		t.Errorf("%v sessions closed by their client", n)
	}
}

func TestD7_MalformedMessage(t *testing.T) {
	s := startServer(t)
	for name, message := range map[string]string{
		"not JSON": `hello`, "no type": `{}`, "no target": `{"type":1,"arguments":[]}`,
		"no arguments":         `{"type":1,"target":"S"}`,
		"completion with both": `{"type":3,"invocationId":"1","result":1,"error":"e"}`,
		"not UTF-8":            "{\"type\":1,\"target\":\"\xc3\x28\",\"arguments\":[]}",
	} {
		t.Run(name, func(t *testing.T) {
			w := s.open("json")
			w.text(message + separator)
			w.expectText(closedWithError)
			w.expectClose(1000)
		})
	}
	for name, message := range map[string]string{
		"not an array": "\x01\x06", "no target": "\x06\x95\x01\x80\xc0\xa0\x90", "endless prefix": "\xff\xff\xff\xff\xff",
	} {
		t.Run("MessagePack, "+name, func(t *testing.T) {
			w := s.open("messagepack")
			w.binary([]byte(message))
			w.expect(opBinary, closedWithErrorMP)
			w.expectClose(1000)
		})
	}
	if n := s.count("rte_transport_protocol_errors_total", "reason", "malformed_message"); n != 9 {
		t.Errorf("%v messages counted", n)
	}
}

// An empty target and malformed MessagePack arguments closed the connection. In ASP.NET Core they are errors of that
// call; without an invocation id nothing is answered.
func TestD7_badCallFailsAlone(t *testing.T) {
	s := startServer(t)
	w := s.open("json")
	w.text(`{"type":1,"target":"","arguments":[]}` + separator)
	if _, failure := w.call("1", ""); failure != "Failed to invoke '' due to an error on the server. HubException: "+
		"Method does not exist." {
		t.Errorf("empty target: %q", failure)
	}

	packed := s.open("messagepack")
	for arguments, want := range map[string]string{
		"\xc0":                 "Failed to invoke 'UnsubscribeAll' due to an error on the server.", // nil
		"\x80":                 "Failed to invoke 'UnsubscribeAll' due to an error on the server.", // a map
		"\x91":                 "Failed to invoke 'UnsubscribeAll' due to an error on the server.", // one, which is missing
		"\xdd\xff\xff\xff\xff": "Failed to invoke 'UnsubscribeAll' due to an error on the server.",
	} {
		body := "\x95\x01\x80\xa11\xaeUnsubscribeAll" + arguments
		packed.binary([]byte(string(rune(len(body))) + body))
		if opcode, payload, err := packed.next(); err != nil || opcode != opBinary ||
			!strings.HasSuffix(string(payload), want) {
			t.Errorf("%q: %#x %q, %v", arguments, opcode, payload, err)
		}
	}
	unknown := "\x94\x01\x80\xa12\xa1X"
	packed.binary([]byte(string(rune(len(unknown))) + unknown))
	if _, payload, err := packed.next(); err != nil || !strings.Contains(string(payload), "Method does not exist.") {
		t.Errorf("unknown method: %q, %v", payload, err)
	}
	silent := "\x95\x01\x80\xc0\xaeUnsubscribeAll\xc0"
	packed.binary([]byte(string(rune(len(silent))) + silent))
	packed.expectNothing()
	w.expectNothing()
}

func TestD8_MessageTooLarge(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Limits.MessageBytes = 32768 })
	padded := func(size int) string {
		const head, tail = `{"type":1,"invocationId":"1","target":"UnsubscribeAll","arguments":[],"x":"`, `"}` + separator
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	t.Run("the largest", func(t *testing.T) {
		w := s.open("json")
		w.text(padded(32768))
		w.expectText(`{"type":3,"invocationId":"1","result":true}`)
	})
	t.Run("three of 15 KB in one WebSocket message", func(t *testing.T) {
		w := s.open("json")
		w.text(padded(15000) + padded(15000) + padded(15000))
		for range 3 {
			w.expectText(`{"type":3,"invocationId":"1","result":true}`)
		}
	})
	t.Run("one byte more", func(t *testing.T) {
		w := s.open("json")
		w.text(padded(32769))
		w.expectText(closedWithError)
		w.expectClose(1000)
	})
	t.Run("without an end", func(t *testing.T) {
		w := s.open("json")
		w.text(strings.Repeat("x", 40000))
		w.expectText(closedWithError)
		w.expectClose(1000)
	})
	t.Run("MessagePack, the largest", func(t *testing.T) {
		w := s.open("messagepack")
		body := "\x95\x01\x80\xa1\x31\xa9Subscribe\x91\xda"
		size := 32768 - 3 - len(body) - 2
		body += string([]byte{byte(size >> 8), byte(size)}) + strings.Repeat("x", size)
		w.binary([]byte("\xfd\xff\x01" + body))
		if opcode, payload, err := w.next(); err != nil || opcode != opBinary ||
			!strings.Contains(string(payload), "Failed to invoke") {
			t.Errorf("%#x %q, %v", opcode, payload, err)
		}
	})
	t.Run("MessagePack, one byte more", func(t *testing.T) {
		w := s.open("messagepack")
		w.binary([]byte("\xfe\xff\x01"))
		w.expect(opBinary, closedWithErrorMP)
		w.expectClose(1000)
	})
	if n := s.count("rte_transport_protocol_errors_total", "reason", "message_too_large"); n != 3 {
		t.Errorf("%v messages counted", n)
	}
}

// The error texts of section 1.7.
func TestErrorTexts(t *testing.T) {
	s := startServer(t)
	const failed = "Failed to invoke 'Subscribe' due to an error on the server."
	for name, test := range map[string]struct{ message, want string }{
		"no arguments":       {`"target":"Subscribe","arguments":[],"type":1`, failed},
		"too many arguments": {`"target":"Subscribe","arguments":[[],1],"type":1`, failed},
		"wrong argument":     {`"target":"Subscribe","arguments":[{"a":1}],"type":1`, failed},
		"a stream is requested": {
			`"target":"Subscribe","arguments":[[]],"type":4`,
			"The client attempted to invoke the non-streaming 'Subscribe' method with a streaming invocation.",
		},
		"streams are sent": {
			`"target":"Subscribe","arguments":[[]],"type":1,"streamIds":["1"]`,
			"An unexpected error occurred invoking 'Subscribe' on the server. HubException: Client sent 1 stream(s), Hub " +
				"method expects 0.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.open("json")
			w.text(`{"invocationId":"7",` + test.message + `}` + separator)
			want, _ := json.Marshal(test.want)
			w.expectText(`{"type":3,"invocationId":"7","error":` + string(want) + `}`)
		})
	}
}

// A server ping comes every interval, with and without traffic.
func TestKeepAlive_ServerPings(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.KeepAlive = 30 * time.Millisecond })
	w, packed := s.open("json"), s.open("messagepack")
	for range 3 {
		w.expectText(`{"type":6}`)
		packed.expect(opBinary, "\x02\x91\x06")
	}
}

// The client timeout counts from the first ping of the client.
func TestKeepAlive_ClientTimeout(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.Client = 60 * time.Millisecond })
	never := s.open("json")
	w, packed := s.open("json"), s.open("messagepack")
	w.text(`{"type":6}` + separator)
	packed.binary([]byte("\x02\x91\x06"))
	w.expectText(closedWithError)
	w.expectClose(1000)
	packed.expect(opBinary, closedWithErrorMP)
	packed.expectClose(1000)
	never.expectNothing()
	s.eventually("the sessions are closed", func() bool {
		return s.count("rte_hub_sessions_closed_total", "reason", "silent") == 2
	})
}

// While a client waits for its answer it need not ping.
func TestKeepAlive_PausedWhileAnInvocationRuns(t *testing.T) {
	s := startServer(
		t, func(s *setup) { s.Timeouts.Client, s.Timeouts.KeepAlive = 60*time.Millisecond, 30*time.Millisecond },
	)
	w := s.open("json")
	s.lanes.blocked.Lock()
	w.text(
		`{"type":6}` + separator +
			`{"type":1,"invocationId":"1","target":"Subscribe",` +
			`"arguments":[[{"EntityId":"c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3","EventName":"QueueStatus"}]]}` + separator,
	)
	for range 5 { // 150 ms, longer than the client timeout
		w.expectText(`{"type":6}`)
	}
	s.lanes.blocked.Unlock()
	for _, want := range []string{`"subscribed":true`, closedWithError} { // then the time counts again
		for {
			_, text, err := w.next()
			if err != nil {
				t.Fatalf("%v before %s", err, want)
			}
			if strings.Contains(string(text), want) {
				break
			}
			if string(text) != `{"type":6}`+separator {
				t.Fatalf("got %s before %s", text, want)
			}
		}
	}
	w.expectClose(1000)
}

// A client whose hub hangs still answers pings, in its WebSocket library. It was never closed; ASP.NET Core closes it
// after the client timeout.
func TestKeepAlive_webSocketPingsAreNoSignOfLife(t *testing.T) {
	s := startServer(t, func(s *setup) { s.Timeouts.Client, s.Limits.PingRate = 60*time.Millisecond, 1_000_000 })
	w := s.open("json")
	w.text(`{"type":6}` + separator)
	for {
		w.write(append(frame(fin|opPing, []byte("alive")), frame(fin|opPong, []byte("alive"))...))
		opcode, text, err := w.next()
		if err != nil {
			t.Fatal(err)
		}
		if opcode == opText {
			if string(text) != closedWithError+separator {
				t.Errorf("got %s", text)
			}
			return
		}
	}
}
