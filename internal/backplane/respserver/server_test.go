package respserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/backplane/respserver"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a Publisher that keeps the events.
type recorder struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (r *recorder) Publish(_ context.Context, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(string(data), "away") {
		return errors.New("backplane\r\nunavailable")
	}
	r.all = append(r.all, string(data))
	return nil
}

func (r *recorder) published() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// start serves until the test ends.
func start(t *testing.T, o respserver.Options) (address string, to *recorder) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to = &recorder{}
	o.Publisher, o.Catalog = to, events.Builtin()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- respserver.New(o).Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return listener.Addr().String(), to
}

const (
	organization = "29f6e823-b484-e611-80c9-00505689257e"
	lane         = "rte:org:" + organization
	journal      = "rte:j:{" + lane + "}"
	user         = "aa9730c4-ce86-e611-80c9-00505689257e"
	event        = `{"OrganizationId":"` + organization + `","EntityType":"User","EntityId":"` + user +
		`","EventType":"UserStatus"}`
)

// talk sends text and QUIT. It returns everything that the server answers until it closes the connection.
func talk(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(rtetest.Patience))
	if _, err := io.WriteString(conn, text+"QUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

func TestServer_Commands(t *testing.T) {
	address, _ := start(t, respserver.Options{MaxBytes: 1000})
	bulk := func(arguments ...string) string {
		text := fmt.Sprintf("*%d\r\n", len(arguments))
		for _, a := range arguments {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
		}
		return text
	}
	for name, test := range map[string]struct{ text, want string }{
		"ping":                    {bulk("PING"), "+PONG\r\n+OK\r\n"},
		"ping in a line":          {"ping\r\n\r\n", "+PONG\r\n+OK\r\n"},
		"ping with a message":     {bulk("ping", "a\r\nb"), "$4\r\na\r\nb\r\n+OK\r\n"},
		"pipelined":               {bulk("PING") + bulk("ECHO", "x"), "+PONG\r\n$1\r\nx\r\n+OK\r\n"},
		"hello":                   {bulk("HELLO", "3"), "%5\r\n$6\r\nserver"},
		"hello, older":            {bulk("HELLO"), "*10\r\n$6\r\nserver"},
		"hello of the future":     {bulk("HELLO", "4"), "-NOPROTO "},
		"password":                {bulk("AUTH", "x"), "-ERR AUTH was called"},
		"client":                  {bulk("CLIENT", "SETNAME", "x") + bulk("CLIENT", "ID"), "+OK\r\n:1\r\n"},
		"client of another kind":  {bulk("CLIENT", "KILL"), "-ERR unknown command \"CLIENT KILL\""},
		"info":                    {bulk("INFO"), "$98\r\n# Server\r\nredis_version:7.0.0"},
		"command":                 {bulk("COMMAND", "DOCS"), "*0\r\n"},
		"published":               {bulk("PUBLISH", lane, event), ":1\r\n"},
		"published in a line":     {"PUBLISH " + lane + " '" + event + "'\r\n", ":1\r\n"},
		"published to a shard":    {bulk("SPUBLISH", lane+":3", event), ":1\r\n"},
		"published with position": {bulk("PUBLISH", lane, "#1 1-1\n"+event), ":1\r\n"},
		"called":                  {bulk("FCALL", "rte_publish", "2", "j", "n", lane, event, "5000", "0"), "$3\r\n0-1\r\n"},
		"called with little":      {bulk("FCALL", "rte_publish", "2", "j"), "-ERR wrong number"},
		"called with too few":     {bulk("FCALL", "rte_publish", "9", "j", "n", lane), "-ERR wrong number"},
		"added to the journal": {
			bulk("XADD", journal, "MAXLEN", "~", "5000", "*", "d", event), "$15\r\n1",
		},
		"added to no journal":    {bulk("XADD", "x", "*", "d", event), "-ERR \"x\" is no journal"},
		"added no event":         {bulk("XADD", journal, "*", "d", "{}"), "-ERR malformed event"},
		"added to a foreign one": {bulk("XADD", "rte:j:{rte:org:"+user+"}", "*", "d", event), "-ERR the event belongs"},
		"added with little":      {bulk("XADD", journal, "*"), "-ERR wrong arguments"},
		"a transaction": {
			bulk("MULTI") + bulk("EXPIRE", journal, "600") + bulk("PUBLISH", lane, event) + bulk("EXEC"),
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n",
		},
		"a transaction with a failure": {
			bulk("MULTI") + bulk("PUBLISH", "x", event) + bulk("PUBLISH", lane, event) + bulk("EXEC"),
			"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n-ERR \"x\" is no lane: want rte:org:{OrganizationId}\r\n:1\r\n",
		},
		"an aborted transaction": {
			bulk("MULTI") + bulk("GET", "x") + bulk("PUBLISH", lane, event) + bulk("EXEC"),
			"+OK\r\n-ERR unknown command \"GET\"",
		},
		"a discarded transaction":     {bulk("MULTI") + bulk("PING") + bulk("DISCARD"), "+OK\r\n+QUEUED\r\n+OK\r\n"},
		"nested transactions":         {bulk("MULTI") + bulk("MULTI"), "+OK\r\n-ERR MULTI inside MULTI"},
		"the end of no transaction":   {bulk("EXEC"), "-ERR EXEC without MULTI\r\n"},
		"a transaction of a web page": {bulk("MULTI") + "POST / HTTP/1.1\r\n", "+OK\r\n-ERR this is no web server\r\n"},
		"another function":            {bulk("FCALL", "f", "0"), "-ERR Function not found"},
		"no event": {
			bulk("PUBLISH", lane, `{"EventType":"UserStatus"}`), "-ERR malformed event: wrong_entity_type",
		},
		"no lane":               {bulk("PUBLISH", "rte:org:42", event), "-ERR \"rte:org:42\" is no lane"},
		"lane of another":       {bulk("PUBLISH", "rte:org:"+user, event), "-ERR the event belongs to another organization"},
		"publish without event": {bulk("PUBLISH", lane), "-ERR wrong number"},
		"backplane away": {
			bulk("PUBLISH", lane, event[:len(event)-1]+`,"Display":"away"}`), "-ERR backplane  unavailable\r\n",
		},
		"not Redis": {
			bulk("GET", "x"), `-ERR unknown command "GET": this is the publishing port of "rte-server dev", not Redis`,
		},
		"web page": {
			"POST / HTTP/1.1\r\nHost: x\r\n\r\nPUBLISH " + lane + " '" + event + "'\r\n", "-ERR this is no web server\r\n",
		},
		"too many arguments":     {"*65\r\n", "-ERR protocol error: want an array"},
		"no number of arguments": {"*x\r\n", "-ERR protocol error: want an array"},
		"argument too long":      {"*1\r\n$1001\r\n", "-ERR protocol error: want a bulk string of at most 1000 bytes"},
		"argument of no length":  {"*1\r\nx\r\n", "-ERR protocol error: want a bulk string"},
		"argument of wrong length": {
			"*1\r\n$3\r\nPING\r\n", "-ERR protocol error: a bulk string is longer",
		},
		"endless line":   {strings.Repeat("x", 70_000), "-ERR protocol error: a line has more"},
		"open quote":     {"PING 'x\r\n", "-ERR protocol error: a quote"},
		"empty commands": {"*0\r\n*-1\r\n\r\n" + bulk("PING"), "+PONG\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := talk(t, address, test.text); !strings.HasPrefix(got, test.want) {
				t.Errorf("answered %q, want %q", got, test.want)
			}
		})
	}
}

func TestServer_LongCommand(t *testing.T) {
	address, _ := start(t, respserver.Options{MaxBytes: 100_000})
	const size = 90_000
	text := fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n", size, strings.Repeat("x", size), size)
	if got := talk(t, address, text); !strings.HasPrefix(
		got, "-ERR protocol error: a command has more than 165536 bytes",
	) {
		t.Errorf("answered %q", got)
	}
}

// The first example of docs/redis.md.
func TestServer_RedisCLI(t *testing.T) {
	path := rtetest.MustLookPath(t, "redis-cli", "apt-get install redis-tools")
	address, to := start(t, respserver.Options{})
	for args, want := range map[string]string{"PUBLISH": "1", "SPUBLISH": "1"} {
		out, err := exec.CommandContext(t.Context(), path, "-u", "redis://"+address, args, lane, event).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("redis-cli %s: %v %s", args, err, out)
		}
	}
	if got := to.published(); len(got) != 2 || got[0] != event {
		t.Errorf("published %v", got)
	}
	cmd := exec.CommandContext(t.Context(), path, "-u", "redis://"+address)
	cmd.Stdin = strings.NewReader("PUBLISH " + lane + " '" + event + "'\nKEYS *\n")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "1\n") || !strings.Contains(string(out), "not Redis") {
		t.Errorf("redis-cli: %v %s", err, out)
	}
}

func TestServer_GoRedis(t *testing.T) {
	address, to := start(t, respserver.Options{})
	for _, protocol := range []int{2, 3} {
		client := goredis.NewClient(&goredis.Options{Addr: address, Protocol: protocol, ClientName: "test"})
		if n, err := client.Publish(t.Context(), lane, event).Result(); n != 1 || err != nil {
			t.Errorf("publish: %d %v", n, err)
		}
		pipe := client.Pipeline()
		for range 100 {
			pipe.SPublish(t.Context(), lane, event)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Errorf("pipeline: %v", err)
		}
		if err := client.FCall(t.Context(), "rte_publish", []string{"j", "n"}, lane, event, 5000, 0).Err(); err != nil {
			t.Errorf("fcall: %v", err)
		}
		if err := client.Get(t.Context(), "x").Err(); err == nil || !strings.Contains(err.Error(), "not Redis") {
			t.Errorf("get: %v", err)
		}
		_ = client.Close()
	}
	if n := len(to.published()); n != 204 {
		t.Errorf("published %d", n)
	}
}

func TestServer_Connections(t *testing.T) {
	address, _ := start(t, respserver.Options{MaxConnections: 1})
	first, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := io.WriteString(first, "PING\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(first, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if answer, _ := io.ReadAll(second); !strings.HasPrefix(string(answer), "-ERR max number of clients") {
		t.Errorf("answered %q", answer)
	}
	// The end of the test closes the first connection.
}

func FuzzServer(f *testing.F) {
	for _, text := range []string{
		"PING\r\n", "*1\r\n$4\r\nPING\r\n", "*2\r\n$5\r\n", "FCALL rte_publish 2 a\r\n", "HELLO 3\r\n", "'\r\n", "* \r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		respserver.Talk(
			t.Context(), respserver.Options{Publisher: &recorder{}, Catalog: events.Builtin(), MaxBytes: 100}, text,
		)
	})
}
