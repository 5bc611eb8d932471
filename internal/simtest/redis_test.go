package simtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/backplane"
)

// server is a model of Redis: as much of it as nodes and publishers use. It answers a command in the goroutine that
// wrote it, so that a command takes no time unless the driver holds answers back.
type server struct {
	mu       sync.Mutex // guards the following fields
	down     bool
	history  int // of the replication id
	library  bool
	unknown  string // a command that the model lacks
	strings  map[string]value
	hashes   map[string]map[string]string
	streams  map[string]*stream
	conns    []*session
	failing  int        // so many reads of journals fail
	dropping [nodes]int // so many numbered messages to the subscribers of a node are lost
	dropped  int        // messages that were lost, held back, or not sent to a node that subscribes again later
	// subscribed has the channels that nodes have subscribed to, also while they have no connection.
	subscribed [nodes]map[string]bool
}

type value struct {
	text    string
	expires time.Time // zero: never
}

// stream is a journal.
type stream struct {
	entries []record
	last    backplane.StreamID
	expires time.Time
}

type record struct {
	id     backplane.StreamID
	fields []string
}

// session is a connection to the server.
type session struct {
	server   *server
	node     int
	conn     *end
	input    []byte
	channels []string
	queue    [][]string // since MULTI; nil: none
	multi    bool

	held    bool     // answers and messages wait
	waiting [][]byte // held back
}

func newServer() *server {
	s := &server{}
	for node := range s.subscribed {
		s.subscribed[node] = map[string]bool{}
	}
	s.empty()
	return s
}

// empty loses all data.
func (s *server) empty() {
	s.strings, s.hashes, s.streams = map[string]value{}, map[string]map[string]string{}, map[string]*stream{}
	s.library = false
	s.history++
}

var errRefused = errors.New("connection refused")

// dial returns the function by which a node opens connections.
func (s *server) dial(node int) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			return nil, errRefused
		}
		theirs, ours := newConn()
		c := &session{server: s, node: node, conn: ours}
		ours.written = c.process
		s.conns = append(s.conns, c)
		return theirs, nil
	}
}

// process executes the commands that have arrived.
func (c *session) process() {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.input = append(c.input, c.conn.take()...)
	for {
		command, rest, ok := parseCommand(c.input)
		if !ok {
			return
		}
		c.input = rest
		c.do(command)
	}
}

// parseCommand parses an array of bulk strings.
func parseCommand(p []byte) (command []string, rest []byte, ok bool) {
	line := func() (text string, ok bool) {
		head, tail, ok := bytes.Cut(p, []byte("\r\n"))
		p = tail
		return string(head), ok
	}
	head, ok := line()
	if !ok {
		return nil, nil, false
	}
	count, err := strconv.Atoi(strings.TrimPrefix(head, "*"))
	if err != nil {
		panic("not a command: " + head)
	}
	for range count {
		head, ok := line()
		if !ok {
			return nil, nil, false
		}
		size, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
		if err != nil {
			panic("not a bulk string: " + head)
		}
		if len(p) < size+2 {
			return nil, nil, false
		}
		command = append(command, string(p[:size]))
		p = p[size+2:]
	}
	return command, p, true
}

// send sends bytes to the client, or holds them back.
func (c *session) send(p []byte) {
	if c.held {
		c.waiting = append(c.waiting, p)
		return
	}
	_, _ = c.conn.TryWrite(p)
}

// set changes the server.
func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// hold holds back what the server sends from now on.
func (c *session) hold() { c.server.set(func(*server) { c.held = true }) }

// release sends the first n messages that are held back; n < 0: all of them, and later ones are not held.
func (c *session) release(n int) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if n < 0 {
		c.held, n = false, len(c.waiting)
	}
	n = min(n, len(c.waiting))
	for _, p := range c.waiting[:n] {
		_, _ = c.conn.TryWrite(p)
	}
	c.waiting = slices.Delete(c.waiting, 0, n)
}

// subscriber reports whether the connection has subscribed.
func (c *session) subscriber() bool { return len(c.channels) > 0 }

// sessions returns the live connections that match.
func (s *server) sessions(match func(*session) bool) (found []*session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(c *session) bool { return c.conn.ended() })
	for _, c := range s.conns {
		if match(c) {
			found = append(found, c)
		}
	}
	return found
}

func bulk(text string) []byte { return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(text), text) }

func array(items ...[]byte) []byte {
	return append(fmt.Appendf(nil, "*%d\r\n", len(items)), bytes.Join(items, nil)...)
}

func integer(n int) []byte { return fmt.Appendf(nil, ":%d\r\n", n) }

var (
	okReply  = []byte("+OK\r\n")
	nilReply = []byte("$-1\r\n")
)

func (c *session) do(command []string) {
	name := strings.ToUpper(command[0])
	switch {
	case name == "MULTI":
		c.multi, c.queue = true, nil
		c.send(okReply)
	case name == "EXEC":
		c.multi = false
		var replies [][]byte
		for _, queued := range c.queue {
			replies = append(replies, c.server.reply(c, queued))
		}
		c.send(array(replies...))
	case c.multi:
		c.queue = append(c.queue, command)
		c.send([]byte("+QUEUED\r\n"))
	case name == "SUBSCRIBE":
		for _, channel := range command[1:] {
			if !slices.Contains(c.channels, channel) {
				c.channels = append(c.channels, channel)
				c.server.subscribed[c.node][channel] = true
			}
			c.send(array(bulk("subscribe"), bulk(channel), integer(len(c.channels))))
		}
	case name == "UNSUBSCRIBE":
		for _, channel := range command[1:] {
			c.channels = slices.DeleteFunc(c.channels, func(other string) bool { return other == channel })
			delete(c.server.subscribed[c.node], channel)
			c.send(array(bulk("unsubscribe"), bulk(channel), integer(len(c.channels))))
		}
	case name == "PING" && c.subscriber():
		c.send(array(bulk("pong"), bulk("")))
	default:
		c.send(c.server.reply(c, command))
	}
}

// reply executes an ordinary command.
func (s *server) reply(c *session, command []string) []byte {
	args := command[1:]
	switch name := strings.ToUpper(command[0]); name {
	case "PING":
		return []byte("+PONG\r\n")
	case "HELLO":
		return []byte("-ERR unknown command 'HELLO'\r\n")
	case "CLIENT":
		return okReply
	case "INFO":
		return bulk(fmt.Sprintf("role:master\r\nmaster_replid:%040d\r\n", s.history))
	case "TIME":
		now := time.Now()
		return array(bulk(strconv.FormatInt(now.Unix(), 10)), bulk(strconv.Itoa(now.Nanosecond()/1000)))
	case "PUBLISH":
		return integer(s.publish(args[0], args[1]))
	case "GET":
		return s.get(args[0])
	case "MGET":
		var all [][]byte
		for _, key := range args {
			all = append(all, s.get(key))
		}
		return array(all...)
	case "HVALS":
		var all [][]byte
		for _, key := range sorted(s.hashes[args[0]]) {
			all = append(all, bulk(s.hashes[args[0]][key]))
		}
		return array(all...)
	case "XRANGE", "XREVRANGE", "XREAD":
		if s.failing > 0 {
			s.failing--
			return []byte("-LOADING Redis is loading the dataset in memory\r\n")
		}
		return s.read(name, args)
	case "FUNCTION":
		s.library = true
		return bulk("rte")
	case "FCALL", "FCALL_RO":
		return s.call(args)
	case "EVALSHA":
		if args[1] == "0" { // the script "return 1", by which a node finds out whether the server runs scripts
			return integer(1)
		}
	}
	s.unknown = strings.Join(command, " ")
	return []byte("-ERR unknown command\r\n")
}

func (s *server) get(key string) []byte {
	v, ok := s.strings[key]
	if !ok || !v.expires.IsZero() && !v.expires.After(time.Now()) {
		return nilReply
	}
	return bulk(v.text)
}

// publish sends a message to the subscribers of a channel and returns their number.
func (s *server) publish(channel, message string) (receivers int) {
	var connected [nodes]bool
	for _, c := range s.conns {
		if slices.Contains(c.channels, channel) && !c.conn.ended() {
			receivers++
			connected[c.node] = true
			if s.dropping[c.node] > 0 && strings.HasPrefix(message, "#") {
				s.dropping[c.node]--
				s.dropped++
				continue
			}
			if c.held {
				s.dropped++ // a break of the connection loses it
			}
			c.send(array(bulk("message"), bulk(channel), bulk(message)))
		}
	}
	for node, here := range connected {
		if !here && s.subscribed[node][channel] {
			s.dropped++
		}
	}
	return receivers
}

// journal returns the entries of a stream that have not expired.
func (s *server) journal(key string) *stream {
	st := s.streams[key]
	if st == nil || !st.expires.After(time.Now()) {
		last := backplane.StreamID{}
		st = &stream{last: last, expires: time.Now().Add(10 * time.Minute)}
		s.streams[key] = st
	}
	return st
}

// add adds an entry to a stream.
func (s *server) add(key string, most int, fields ...string) backplane.StreamID {
	st := s.journal(key)
	id := backplane.StreamID{Milliseconds: uint64(time.Now().UnixMilli())}
	if id.Compare(st.last) <= 0 {
		id = backplane.StreamID{Milliseconds: st.last.Milliseconds, Sequence: st.last.Sequence + 1}
	}
	st.last = id
	st.entries = append(st.entries, record{id, fields})
	if extra := len(st.entries) - most; extra > 0 {
		st.entries = slices.Delete(st.entries, 0, extra)
	}
	st.expires = time.Now().Add(10 * time.Minute)
	return id
}

func (r *record) reply() []byte {
	var fields [][]byte
	for _, text := range r.fields {
		fields = append(fields, bulk(text))
	}
	return array(bulk(r.id.String()), array(fields...))
}

// rangeEnd parses an end of a range.
func rangeEnd(text string) (id backplane.StreamID, exclusive bool) {
	text, exclusive = strings.CutPrefix(text, "(")
	switch text {
	case "-":
		return id, false
	case "+":
		return backplane.StreamID{Milliseconds: 1 << 62}, false
	}
	id, ok := backplane.ParseStreamID(text)
	if !ok {
		panic("not an id: " + text)
	}
	return id, exclusive
}

// after returns the entries of a stream behind an id.
func (s *server) after(key, from string, exclusive bool, count int) (found [][]byte) {
	id, open := rangeEnd(from)
	for _, r := range s.journal(key).entries {
		if c := r.id.Compare(id); (c > 0 || c == 0 && !open && !exclusive) && len(found) < count {
			found = append(found, r.reply())
		}
	}
	return found
}

// read answers reads of journals.
func (s *server) read(name string, args []string) []byte {
	number := func(text string) int {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		return n
	}
	switch name {
	case "XRANGE": // key start end COUNT n
		return array(s.after(args[0], args[1], false, number(args[4]))...)
	case "XREVRANGE": // key + - COUNT n
		var all [][]byte
		entries := s.journal(args[0]).entries
		for i := len(entries) - 1; i >= 0 && len(all) < number(args[4]); i-- {
			all = append(all, entries[i].reply())
		}
		return array(all...)
	default: // COUNT n STREAMS key... id...
		var all [][]byte
		keys := args[3:]
		for i, key := range keys[:len(keys)/2] {
			if found := s.after(key, keys[len(keys)/2+i], true, number(args[1])); len(found) > 0 {
				all = append(all, array(bulk(key), array(found...)))
			}
		}
		if all == nil {
			return []byte("*-1\r\n")
		}
		return array(all...)
	}
}

// call calls a function of the library.
func (s *server) call(args []string) []byte {
	if !s.library {
		return []byte("-ERR Function not found\r\n")
	}
	switch args[0] {
	case "rte_version":
		return integer(1000)
	case "rte_writable":
		return integer(1)
	}
	count, err := strconv.Atoi(args[1])
	if err != nil {
		panic(err)
	}
	return bulk(s.publishNumbered(args[2:2+count], args[2+count:]).String())
}

// publishNumbered is rte_publish, see rte.lua.
func (s *server) publishNumbered(keys, args []string) backplane.StreamID {
	lane, json := args[0], args[1]
	most, err := strconv.Atoi(args[2])
	if err != nil {
		panic(err)
	}
	ttl, err := strconv.Atoi(args[3])
	if err != nil {
		panic(err)
	}
	n, _ := strconv.Atoi(s.strings[keys[1]].text)
	n++
	s.strings[keys[1]] = value{text: strconv.Itoa(n)}
	id := s.add(keys[0], most, "n", strconv.Itoa(n), "d", json)
	message := fmt.Sprintf("#%d %s\n%s", n, id, json)
	if len(keys) > 2 {
		if delete(s.strings, keys[2]); ttl > 0 {
			s.strings[keys[2]] = value{message, time.Now().Add(time.Duration(ttl) * time.Second)}
		}
	}
	s.publish(lane, message)
	return id
}
