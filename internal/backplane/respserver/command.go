package respserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rte-server/rte-server/internal/backplane"
	"github.com/rte-server/rte-server/internal/backplane/resp"
)

// help is the answer to a client that takes this server for Redis.
const help = `this is the publishing port of "rte-server dev", not Redis. It knows PING, HELLO, CLIENT, INFO, QUIT, ` +
	`PUBLISH and SPUBLISH of an event to rte:org:{OrganizationId}, XADD to its journal, MULTI, EXEC and FCALL rte_publish`

// client answers the commands of one connection.
type client struct {
	server *Server
	out    *bufio.Writer
	over   bool         // close the connection
	queue  *transaction // the commands since MULTI; nil: none
}

// do answers one command.
func (c *client) do(ctx context.Context, command [][]byte) {
	name, arguments := strings.ToUpper(string(command[0])), command[1:]
	if c.queue != nil && c.queued(ctx, name, command) {
		return
	}
	switch name {
	case "PING":
		if len(arguments) > 0 {
			c.bulk(string(arguments[0]))
			return
		}
		c.write("+PONG\r\n")
	case "ECHO":
		c.bulk(string(first(arguments)))
	case "HELLO":
		c.hello(arguments)
	case "AUTH":
		c.fail("ERR AUTH was called, but there are no passwords here: " + help)
	case "CLIENT":
		c.aboutClient(arguments)
	case "SELECT", "RESET", "READONLY":
		c.write("+OK\r\n")
	case "COMMAND":
		c.write("*0\r\n")
	case "INFO":
		c.bulk("# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\nrte_server:dev\r\n" +
			"# Replication\r\nrole:master\r\n")
	case "PUBLISH", "SPUBLISH":
		if len(arguments) != 2 {
			c.fail("ERR wrong number of arguments: want a lane and an event")
			return
		}
		c.publish(ctx, string(arguments[0]), arguments[1], ":1\r\n")
	case "FCALL":
		c.call(ctx, arguments)
	case "XADD":
		c.append(arguments)
	case "EXPIRE", "PEXPIRE":
		c.write(":1\r\n")
	case "MULTI":
		c.queue = &transaction{}
		c.write("+OK\r\n")
	case "EXEC", "DISCARD":
		c.fail("ERR " + name + " without MULTI")
	case "WATCH", "UNWATCH":
		c.write("+OK\r\n")
	case "QUIT":
		c.write("+OK\r\n")
		c.over = true
	case "POST", "HOST:":
		// A web page can make a browser send this, followed by commands.
		c.fail("ERR this is no web server")
		c.over = true
	default:
		c.unknown(name)
	}
}

func (c *client) unknown(name string) {
	c.fail(fmt.Sprintf("ERR unknown command %.40q: %s", name, help))
}

// hello describes the server, in the requested protocol.
func (c *client) hello(arguments [][]byte) {
	version, begin := "2", "*10\r\n"
	if requested := string(first(arguments)); requested == "3" {
		version, begin = "3", "%5\r\n"
	} else if requested != "" && requested != "2" {
		c.fail("NOPROTO unsupported protocol version")
		return
	}
	c.write(begin)
	for _, text := range []string{
		"server", "rte-server", "version", "7.0.0", "mode", "standalone", "role", "master", "proto",
	} {
		c.bulk(text)
	}
	c.write(":" + version + "\r\n")
}

// aboutClient accepts the commands by which clients describe themselves.
func (c *client) aboutClient(arguments [][]byte) {
	switch strings.ToUpper(string(first(arguments))) {
	case "ID":
		c.write(":1\r\n")
	case "GETNAME":
		c.bulk("")
	case "SETNAME", "SETINFO", "NO-EVICT", "NO-TOUCH":
		c.write("+OK\r\n")
	default:
		c.unknown("CLIENT " + string(first(arguments)))
	}
}

// call handles FCALL rte_publish COUNT KEY... LANE JSON..., and answers with an id as the function does.
func (c *client) call(ctx context.Context, arguments [][]byte) {
	if string(first(arguments)) != "rte_publish" {
		c.fail("ERR Function not found: " + help)
		return
	}
	count := -1
	if len(arguments) > 1 {
		if n, err := strconv.Atoi(string(arguments[1])); err == nil {
			count = n
		}
	}
	if count < 0 || count > len(arguments) || len(arguments) < 2+count+2 {
		c.fail("ERR wrong number of arguments: want FCALL rte_publish COUNT KEY... LANE JSON")
		return
	}
	c.publish(ctx, string(arguments[2+count]), arguments[3+count], "$3\r\n0-1\r\n")
}

// publish publishes an event. If the event cannot be published, it answers the reason; Redis would accept the event
// and leave the check to the nodes.
func (c *client) publish(ctx context.Context, lane string, message []byte, answer string) {
	data, err := c.check(lane, message)
	if err == nil {
		err = c.server.options.Publisher.Publish(ctx, data)
	}
	if err != nil {
		c.fail("ERR " + err.Error())
		return
	}
	c.write(answer)
}

// errForeign is the error of an event on the lane of another organization.
var errForeign = errors.New("the event belongs to another organization than the lane")

// check returns the event in a message, if it may be published on a lane.
func (c *client) check(lane string, message []byte) (data []byte, err error) {
	organization, ok := backplane.Layout{}.Organization(lane)
	if !ok {
		return nil, fmt.Errorf("%.80q is no lane: want rte:org:{OrganizationId}", lane)
	}
	if _, data, err = backplane.ParseMessage(message); err != nil {
		return nil, err
	}
	ev, err := c.server.options.Catalog.Decode(data)
	if err == nil && ev.Organization != organization {
		err = errForeign
	}
	return data, err
}

// The methods that write ignore errors: Flush reports them.

func (c *client) write(text string) { _, _ = c.out.WriteString(text) }

func (c *client) bulk(text string) {
	_, _ = c.out.Write(resp.AppendBulk(c.out.AvailableBuffer(), text))
}

func (c *client) fail(text string) {
	_, _ = c.out.Write(resp.AppendError(c.out.AvailableBuffer(), text))
}

// first returns the first argument; nil if there is none.
func first(arguments [][]byte) []byte {
	if len(arguments) == 0 {
		return nil
	}
	return arguments[0]
}
