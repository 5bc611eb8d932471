package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/logsink"
	"github.com/rte-server/rte-server/internal/node"
)

const (
	// leastFlush and mostFlush bound the wait for the reader of the log at the end of a server.
	leastFlush, mostFlush = 100 * time.Millisecond, 2 * time.Second
	// reportTimeout bounds the wait for the reader of a line that is not of the log.
	reportTimeout = 500 * time.Millisecond
)

// serverLog is the log of a command that serves. The command never waits for the reader of the log, and does not end
// when that reader does.
type serverLog struct {
	*zap.Logger

	level  zap.AtomicLevel
	sink   *logsink.Sink
	stopBy atomic.Pointer[time.Time] // nil: nothing has stopped the server
	// unread is called if the reader of the log is stuck. It gets no further lines.
	unread func()
}

// openLog opens the log of a command that serves. The caller must close it.
func (p *program) openLog(c *config.Config) *serverLog {
	signal.Ignore(syscall.SIGPIPE) // a write to a pipe without a reader then returns an error
	sink := logsink.Start(p.stderr)
	logger, level := node.NewLogger(c, sink)
	return &serverLog{
		Logger: logger, level: level, sink: sink,
		unread: func() { p.stderr = io.Discard },
	}
}

// closeAfter makes close respect shutdown.timeout, which timeout returns. The time begins when ctx ends.
func (l *serverLog) closeAfter(ctx context.Context, timeout func() time.Duration) {
	context.AfterFunc(ctx, func() {
		by := time.Now().Add(timeout())
		l.stopBy.Store(&by)
	})
}

// close writes the lines that wait. It does not wait for a stuck reader longer than the stop of the server may take.
func (l *serverLog) close() {
	limit := mostFlush
	if by := l.stopBy.Load(); by != nil {
		limit = min(max(time.Until(*by), leastFlush), mostFlush)
	}
	if l.sink.Close(limit) != nil {
		l.unread()
	}
}

// report writes a line to w, and gives up if its reader is stuck.
func report(w io.Writer, format string, args ...any) {
	sink := logsink.Start(w)
	_, _ = fmt.Fprintf(sink, format, args...)
	_ = sink.Close(reportTimeout) // nothing is left to report a failure to
}

// untilSignal returns a context that ends with ctx, or at the first SIGTERM, SIGINT or SIGHUP. A second signal ends the
// process. A process that was started with SIGHUP ignored, as by nohup, continues to ignore it.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return until(ctx, signals)
}

// until returns a context that ends with ctx, or at the first of the signals. A second one ends the process.
func until(ctx context.Context, signals []os.Signal) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
