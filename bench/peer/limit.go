package peer

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/rte-server/rte-server/bench/event"
	"github.com/rte-server/rte-server/bench/load"
)

// limitKind is the kind of the physical limit, which needs a C compiler.
const limitKind = "limit"

// limit is the physical limit: a C program that only writes, with batch messages per write.
func limit(batch int) Peer {
	p := Peer{
		Name: fmt.Sprintf("limit%d", batch), Kind: limitKind,
		Title: fmt.Sprintf("C program, %d messages per write", batch), Form: event.Frame,
	}
	if batch == 1 {
		p.Title, p.Label = "C program, 1 message per write", "C, 1 per write"
	}
	p.Prepare = func(s Setup) (Launch, error) {
		return Launch{
			Path: filepath.Join(s.Binaries, limitKind),
			Args: []string{
				"-listen", s.Client.String(), "-ingest", s.Operator.String(), "-batch", strconv.Itoa(batch),
			},
			Ready:   []string{s.Operator.String()},
			Dialect: bare{},
			Connect: dialIngest(s.Operator),
		}, nil
	}
	return p
}

// bare is the dialect of a server that writes all frames to all connections.
type bare struct{}

func (bare) Upgrade(load.Identity) []byte { return nil }
func (bare) Hello(load.Identity) []byte   { return nil }
func (bare) Subscribe([]uint32) []byte    { return nil }
func (bare) Batch() int                   { return 1 }
func (bare) Separator() byte              { return recordSeparator }
func (bare) Pong() []byte                 { return nil }
func (bare) KeepAlive() []byte            { return nil }

func (bare) Classify(record []byte) load.Record {
	if bytes.Equal(record, []byte("hello")) {
		return load.Record{Kind: load.Welcome}
	}
	return load.Record{}
}
