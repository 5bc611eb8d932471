package transport_test

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A client with stateful reconnect that acknowledges once a second, as Microsoft's do, receives as fast as one without.
// ASP.NET Core stops at 100 KB without an acknowledgement: some 100 KB/s. Other tests run at the same time, so only
// RTE_FLOW=1, on an idle machine, compares the two.
func TestResume_isAsFastAsWithout(t *testing.T) {
	size, least, part := 4<<20, 1.0, 0.0
	if os.Getenv("RTE_FLOW") != "" {
		size, least, part = 128<<20, 20, 0.9
	}
	best := map[bool]float64{}
	for range 5 {
		for _, resumes := range []bool{false, true} {
			best[resumes] = max(best[resumes], flow(t, size, resumes))
		}
	}
	t.Logf("%.0f MB/s with stateful reconnect, %.0f MB/s without", best[true], best[false])
	if best[true] < part*best[false] || best[true] < least {
		t.Errorf("%.0f MB/s with stateful reconnect, %.0f MB/s without", best[true], best[false])
	}
}

// flow returns the megabytes per second at which a client receives events.
func flow(t *testing.T, size int, resumes bool) float64 {
	s := startServer(t, withResume)
	var w *wire
	if resumes {
		w, _ = s.resumable("json")
		w.subscribeAck(s)
	} else {
		w = s.open("json")
		items := []map[string]string{{"EntityId": bearers["alice"].User.String(), "EventName": "UserStatus"}}
		if _, failure := w.call("1", "Subscribe", items); failure != "" {
			t.Fatal(failure)
		}
	}
	publish := func() {
		s.publish("UserStatus", "User", bearers["alice"].User, `,"Text":"`+strings.Repeat("x", 8<<10)+`"`)
	}
	publish()
	event := len(w.expectEvent()) + 4 // the head of a frame
	const window = 16                 // events on the way
	began, acknowledged, received := time.Now(), time.Now(), 1
	for ; received*event < size; received += window {
		for range window {
			publish()
		}
		if _, err := io.CopyN(io.Discard, w.in, int64(window*event)); err != nil {
			t.Fatal(err)
		}
		if resumes && time.Since(acknowledged) > time.Second {
			acknowledged = time.Now()
			w.text(`{"type":8,"sequenceId":` + strconv.Itoa(received+window) + `}` + separator)
		}
	}
	return float64(received*event) / 1e6 / time.Since(began).Seconds()
}
