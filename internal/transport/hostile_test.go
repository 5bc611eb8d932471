package transport_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostile are hostile clients. Each uses its own connection and returns after the reaction of the server: the answer of
// docs/compatibility.md, or a clean close.
var hostile = map[string]func(s *server){
	"a request that never ends": func(s *server) {
		w := s.connect()
		w.write([]byte("GET /rte HTTP/1.1\r\nHost: rte\r\nX: "))
		w.Close()
	},
	"no WebSocket after the upgrade": func(s *server) {
		w := s.dial()
		w.write([]byte("GET /rte HTTP/1.1\r\nHost: rte\r\n\r\n"))
		w.expectClose(1002) // G has reserved bits
	},
	"gone without a word": func(s *server) { s.dial().Close() },
	"a handshake that never ends": func(s *server) {
		w := s.dial()
		for _, b := range []byte(`{"protocol":"json"`) {
			w.text(string(b))
		}
		w.expectText(`{"error":"Handshake was canceled."}`)
		w.expectClose(1000)
	},
	"half a frame, then nothing": func(s *server) {
		w := s.open("json")
		w.write([]byte{0x81, 0xfe, 0x10})
		w.Close()
	},
	"half a payload, then nothing": func(s *server) {
		w := s.open("json")
		w.write(frame(fin|opText, bytes.Repeat([]byte("x"), 1000))[:500])
		w.Close()
	},
	"a frame of 1 GB": func(s *server) {
		w := s.open("json")
		w.write([]byte{0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4})
		w.expectClose(1009)
	},
	"a frame longer than memory": func(s *server) {
		w := s.open("json")
		w.write([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
		w.expectClose(1009)
	},
	"a hub message of 1 GB": func(s *server) {
		w := s.open("messagepack")
		w.binary([]byte{0x80, 0x80, 0x80, 0x80, 0x04})
		w.expect(opBinary, closedWithErrorMP)
		w.expectClose(1000)
	},
	"a hub message without end": func(s *server) {
		w := s.open("json")
		w.write(frame(fin|opText, bytes.Repeat([]byte("["), 1<<20)))
		w.expectText(closedWithError)
		w.expectClose(1000)
	},
	"an array of 4 billion elements": func(s *server) {
		w := s.open("messagepack")
		w.binary([]byte("\x0b\x95\x01\x80\xc0\xa1S\xdd\xff\xff\xff\xff"))
		w.expectNothing() // a call without an id
	},
	"brackets as deep as fit": func(s *server) {
		w := s.open("json")
		w.text(`{"type":1,"target":"Subscribe","arguments":` + strings.Repeat("[", 32000) + separator)
		w.expectText(closedWithError)
		w.expectClose(1000)
	},
	"arrays as deep as fit": func(s *server) {
		w := s.open("messagepack")
		body := "\x95\x01\x80\xc0\xa1S" + strings.Repeat("\x91", 32000)
		w.binary(append(binary.AppendUvarint(nil, uint64(len(body))), body...))
		w.expectNothing() // a call without an id
	},
	"unmasked": func(s *server) {
		w := s.open("json")
		w.write([]byte("\x81\x0b{\"type\":6}\x1e"))
		w.expectClose(1002)
	},
	"reserved bits": func(s *server) {
		for _, first := range []byte{0xc1, 0xa1, 0x91, 0xf9} {
			w := s.open("json")
			w.write(frame(first, []byte("x")))
			w.expectClose(1002)
		}
	},
	"reserved opcodes": func(s *server) {
		for _, opcode := range []byte{3, 7, 11, 15} {
			w := s.open("json")
			w.write(frame(fin|opcode, nil))
			w.expectClose(1002)
		}
	},
	"control frames over 125 bytes": func(s *server) {
		for _, opcode := range []byte{opPing, opPong, opClose} {
			w := s.open("json")
			w.write(frame(fin|opcode, make([]byte, 126)))
			w.expectClose(1002)
		}
	},
	"fragments that do not fit": func(s *server) {
		w := s.open("json")
		w.write(frame(0, []byte("x")))
		w.expectClose(1002)
	},
	"a Close frame of one byte": func(s *server) {
		w := s.open("json")
		w.write(frame(fin|opClose, []byte{3}))
		w.expectClose(1002)
	},
	"a Close frame that is not UTF-8": func(s *server) {
		w := s.open("json")
		w.write(frame(fin|opClose, []byte("\x03\xe8\xff\xfe")))
		w.expectClose(1007)
	},
	"invalid UTF-8": func(s *server) {
		w := s.open("json")
		w.text("{\"type\":1,\"invocationId\":\"1\",\"target\":\"\xff\xfe\",\"arguments\":[]}" + separator)
		w.expectText(closedWithError)
		w.expectClose(1000)
	},
	"more after a violation": func(s *server) {
		w := s.open("json")
		w.write(append([]byte{0xff}, bytes.Repeat([]byte{0x55}, 100_000)...))
		w.expectClose(1002)
	},
	"a flood of pings that is read": func(s *server) {
		w := s.open("json")
		w.write(bytes.Repeat(frame(fin|opPing, []byte("flood")), 10_000))
		w.text(`{"type":7}` + separator)
		pongs := 0
		for {
			opcode, _, err := w.next()
			if err != nil {
				w.t.Error(err)
				return
			}
			if opcode == opText {
				break
			}
			pongs++
		}
		if pongs > 1000 {
			w.t.Errorf("%d pongs for 10,000 pings", pongs)
		}
		w.expectClose(1000)
	},
	"a flood of pings that is not read": func(s *server) {
		w := s.open("json")
		flood := bytes.Repeat(frame(fin|opPing, bytes.Repeat([]byte("x"), 125)), 1000)
		for range 20 {
			if _, err := w.Write(flood); err != nil {
				return
			}
		}
		w.Close()
	},
	"a flood of hub pings": func(s *server) {
		w := s.open("json")
		w.text(strings.Repeat(`{"type":6}`+separator, 5_000))
		w.expectNothing()
	},
	"calls that want no answer and fail": func(s *server) {
		w := s.open("json")
		w.text(strings.Repeat(`{"type":1,"target":"NoSuch","arguments":[]}`+separator, 1000))
		w.expectNothing()
	},
	"a thousand calls at once": func(s *server) {
		w := s.open("json")
		var calls strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&calls, `{"type":1,"invocationId":"%d","target":"UnsubscribeAll","arguments":[]}`+separator, i)
		}
		w.text(calls.String())
		for i := range 1000 {
			if result, failure := w.completion(fmt.Sprint(i)); result != "true" {
				w.t.Error(result, failure)
				return
			}
		}
	},
	"calls whose answers are not read": func(s *server) {
		w := s.open("json")
		call := `{"type":1,"invocationId":"` + strings.Repeat("x", 30_000) + `","target":"NoSuch","arguments":[]}` + separator
		_ = w.SetWriteDeadline(time.Now().Add(time.Second))
		for range 1000 {
			if _, err := w.Write(frame(fin|opText, []byte(call))); err != nil {
				break // the server does not read on
			}
		}
		w.Close()
	},
	"methods of the library": func(s *server) {
		w := s.open("json")
		for i, target := range []string{"OnConnected", "OnDisconnected", "Initialize", "Abort", "Close"} {
			w.text(fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"%s","arguments":["x"]}`, i, target) + separator)
			if result, failure := w.completion(fmt.Sprint(i)); !strings.HasSuffix(failure, "Method does not exist.") {
				w.t.Error(target, result, failure)
			}
		}
	},
	"every byte alone": func(s *server) {
		w := s.open("json")
		for _, b := range frame(fin|opText, []byte(`{"type":7}`+separator)) {
			w.write([]byte{b})
		}
		w.expectText(`{"type":7}`)
		w.expectClose(1000)
	},
	"nothing after a Close": func(s *server) {
		w := s.open("json")
		w.text(`{"type":7}` + separator)
		w.expectText(`{"type":7}`)
		w.expect(opClose, "\x03\xe8")
		w.expectEnd()
	},
	"a header without end": func(s *server) {
		w := s.connect()
		_, _ = w.Write([]byte("GET /rte HTTP/1.1\r\nHost: rte\r\nX: " + strings.Repeat("x", 2<<20)))
		response, err := http.ReadResponse(w.in, nil)
		if err == nil {
			response.Body.Close()
			if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				w.t.Error(response.Status)
			}
		}
		_, _ = io.Copy(io.Discard, w)
	},
}

// All hostile clients run at once, many times, while other clients work as usual.
func TestHostile(t *testing.T) {
	s := startServer(t, func(s *setup) {
		s.Timeouts.Handshake, s.Timeouts.Close = 2*time.Second, 2*time.Second
		s.Timeouts.Send, s.Timeouts.KeepAlive = 500*time.Millisecond, time.Hour // no ping between the events
	})
	entity := mustID("c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3")
	witness, caller := s.open("json"), s.open("messagepack")
	if result, failure := witness.call("1", "Subscribe", []subscription{{entity.String(), "QueueStatus"}}); failure != "" {
		t.Fatal(result, failure)
	}
	heapBefore, goroutinesBefore := heap(), runtime.NumGoroutine()

	over := make(chan struct{})
	var attacks, works sync.WaitGroup
	works.Go(func() {
		for i := 0; ; i++ {
			s.publish("QueueStatus", "Queue", entity, fmt.Sprintf(`,"N":%d`, i))
			if _, payload, err := witness.next(); err != nil || !bytes.Contains(payload, fmt.Appendf(nil, `"n":%d}`, i)) {
				t.Errorf("the witness got %s, %v instead of %d", payload, err, i)
				return
			}
			caller.binary([]byte("\x15\x95\x01\x80\xa1\x31\xaeUnsubscribeAll\x90"))
			if _, payload, err := caller.next(); err != nil || string(payload) != "\x07\x95\x03\x80\xa1\x31\x03\xc3" {
				t.Errorf("the caller got %q, %v", payload, err)
				return
			}
			_ = witness.SetDeadline(time.Now().Add(patience))
			_ = caller.SetDeadline(time.Now().Add(patience))
			select {
			case <-over:
				return
			default:
			}
		}
	})
	for name, attack := range hostile {
		attacks.Go(func() {
			t.Run(name, func(t *testing.T) {
				mine := *s
				mine.t = t
				for range 2 {
					attack(&mine)
				}
			})
		})
	}
	attacks.Wait()
	close(over)
	works.Wait()
	s.eventually("the hostile connections are removed", func() bool { return s.Connections() == 2 })
	s.eventually("their goroutines have ended", func() bool { return runtime.NumGoroutine() <= goroutinesBefore+5 })
	if grown := heap() - heapBefore; grown > 8<<20 {
		t.Errorf("the heap has grown by %d KB", grown>>10)
	}
}

// heap returns the bytes of the heap in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // empties pools
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapInuse + stats.StackInuse)
}

// An idle connection has one goroutine and little memory. Both ends are in this process: 2.2 KB of stack, and 2.4 KB of
// heap, about half of it for the client.
func TestIdleConnections(t *testing.T) {
	s := startServer(t)
	if result, failure := s.open("json").call("1", "UnsubscribeAll"); result != "true" {
		t.Fatal(result, failure) // everything has started now
	}
	const count = 500
	goroutines, before := runtime.NumGoroutine(), heap()
	wires := make([]*wire, count)
	for i := range wires {
		wires[i] = s.open("json")
		wires[i].in = nil // the buffer of the client
	}
	const starting = 10 // goroutines of the hub's pool that may not have run when the others were counted
	s.eventually("net/http has let go", func() bool { return runtime.NumGoroutine() <= goroutines+count+starting })
	each := (heap() - before) / count
	t.Logf("%d bytes per connection", each)
	if each > 7<<10 {
		t.Errorf("a connection costs %d bytes", each)
	}
	runtime.KeepAlive(wires)
}
