package clients

import (
	"os/exec"
	"strings"
	"testing"
)

// TestOrigins opens the page on an unknown origin. The script opens it on a known origin.
func TestOrigins(t *testing.T) {
	s := newStage(t)
	s.hubURL = s.startNode(t, nil).HubURL
	elsewhere := library{name: "chromium", command: func(t *testing.T, s *stage) *exec.Cmd {
		t.Helper()
		return chromiumAt(t, s, strings.Replace(s.page.URL, "127.0.0.1", "localhost", 1))
	}}
	c := startClient(t, elsewhere, s)
	c.waitReady(t)

	t.Run("the browser keeps the answer to negotiate from the page", func(t *testing.T) {
		const want = "Failed to complete negotiation with the server: TypeError: Failed to fetch"
		_, err := c.open(options{url: s.hubURL, token: s.token, protocol: "json"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("connect from an unknown origin: %v, want %q", err, want)
		}
	})
	t.Run("a WebSocket knows no such rule", func(t *testing.T) {
		conn := c.mustOpen(t, options{url: s.hubURL, token: s.token, protocol: "json", skipNegotiation: true})
		var names []string
		conn.mustInvoke(t, &names, "AvailableSubscriptions")
	})
}
