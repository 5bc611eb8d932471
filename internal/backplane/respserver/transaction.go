package respserver

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// The bounds of the commands between MULTI and EXEC.
const (
	maxQueued      = 1000
	maxQueuedBytes = 8 << 20
)

// transaction is the commands of a client since MULTI.
type transaction struct {
	commands [][][]byte
	bytes    int
	aborted  bool // a command was refused: EXEC executes none
}

// queued handles a command after MULTI, as Redis does. It reports whether it has handled the command: the command waits
// for EXEC, or ends the transaction.
func (c *client) queued(ctx context.Context, name string, command [][]byte) (done bool) {
	t := c.queue
	switch name {
	case "QUIT", "POST", "HOST:":
		return false
	case "MULTI", "WATCH":
		c.fail("ERR " + name + " inside MULTI is not allowed")
		return true
	case "DISCARD":
		c.queue = nil
		c.write("+OK\r\n")
		return true
	case "EXEC":
		c.queue = nil
		c.execute(ctx, t)
		return true
	case "PUBLISH", "SPUBLISH", "FCALL", "XADD", "EXPIRE", "PEXPIRE", "PING", "ECHO", "UNWATCH":
	default:
		t.aborted = true
		c.unknown(name)
		return true
	}
	kept := make([][]byte, len(command))
	for i, argument := range command {
		kept[i] = bytes.Clone(argument)
		t.bytes += len(argument)
	}
	if len(t.commands) == maxQueued || t.bytes > maxQueuedBytes {
		*t = transaction{aborted: true}
		c.fail(fmt.Sprintf("ERR a transaction may have %d commands and %d bytes", maxQueued, maxQueuedBytes))
		return true
	}
	t.commands = append(t.commands, kept)
	c.write("+QUEUED\r\n")
	return true
}

// execute executes a transaction. A command that fails does not stop the others, as in Redis.
func (c *client) execute(ctx context.Context, t *transaction) {
	if t.aborted {
		c.fail("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	c.write(fmt.Sprintf("*%d\r\n", len(t.commands)))
	for _, command := range t.commands {
		c.do(ctx, command)
	}
}

// append handles XADD of an event to the journal of a lane: XADD KEY [MAXLEN [~] N] * d EVENT. It checks the event and
// keeps nothing: nodes get the event by its PUBLISH.
func (c *client) append(arguments [][]byte) {
	key := string(first(arguments))
	lane, begins := strings.CutPrefix(key, "rte:j:{")
	lane, ends := strings.CutSuffix(lane, "}")
	if !begins || !ends {
		c.fail(fmt.Sprintf("ERR %.80q is no journal: want rte:j:{rte:org:OrganizationId}", key))
		return
	}
	n := len(arguments)
	if n < 4 || string(arguments[n-3]) != "*" || string(arguments[n-2]) != "d" {
		c.fail("ERR wrong arguments: want XADD KEY MAXLEN ~ N * d EVENT")
		return
	}
	if _, err := c.check(lane, arguments[n-1]); err != nil {
		c.fail("ERR " + err.Error())
		return
	}
	c.bulk(fmt.Sprintf("%d-0", time.Now().UnixMilli()))
}
