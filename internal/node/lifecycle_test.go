package node

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// managed runs a node without Redis under a service manager that listens on socket. It returns after the node.
func managed(t *testing.T, socket string, while func(*Node)) {
	t.Helper()
	t.Setenv("NOTIFY_SOCKET", socket)
	c := config.Default()
	c.Listen, c.Console.Listen, c.Shutdown.Delay, c.Shutdown.Drain = "127.0.0.1:0", "", 0, 0
	c.Auth.HMACSecret = rtetest.Secret
	n, err := New(Options{Config: c, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	while(n)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("node: %v", err)
	}
}

func TestNode_notifiesServiceManager(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		buffer := make([]byte, 100)
		size, err := manager.Read(buffer)
		if err != nil || string(buffer[:size]) != want {
			t.Fatalf("the service manager received %q, %v, want %q", buffer[:size], err, want)
		}
	}
	managed(t, socket, func(n *Node) {
		expect("READY=1")
		connection, err := net.Dial("tcp", n.ClientAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = connection.Close()
	})
	expect("STOPPING=1")
}

// TestNode_runsWithoutServiceManager checks that a node runs whether the socket is not set or does not exist.
func TestNode_runsWithoutServiceManager(t *testing.T) {
	for _, socket := range []string{"", filepath.Join(t.TempDir(), "missing")} {
		managed(t, socket, func(n *Node) {
			eventually(t, "the node to be ready", func() bool { return n.readiness.Report().State == "ready" })
		})
	}
}

// A proxy must close a connection before the node does: timeouts.idle of 5 s lost requests behind HAProxy.
func TestIdleTime_isLongerBehindProxies(t *testing.T) {
	for name, row := range map[string]struct {
		set     time.Duration
		proxies []string
		want    time.Duration
	}{
		"direct":          {0, nil, 5 * time.Second},
		"proxied":         {0, []string{"10.0.0.0/8"}, 75 * time.Second},
		"set":             {time.Second, nil, time.Second},
		"set and proxied": {time.Second, []string{"10.0.0.0/8"}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			c := &config.Config{TrustedProxies: row.proxies}
			c.Timeouts.Idle = row.set
			if got := idleTime(c); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}
