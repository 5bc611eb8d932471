package proc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// Errors of a server.
var (
	ErrExited   = errors.New("server has exited")
	ErrTooLarge = errors.New("server uses more memory than it may")
)

const (
	stopTimeout = 5 * time.Second
	watchEvery  = 200 * time.Millisecond
)

// Spec describes how to start a server.
type Spec struct {
	Path   string
	Args   []string
	Env    []string // in addition to PATH and HOME
	Core   int      // AnyCore: all of them
	Output io.Writer
	MaxRSS int64 // bytes; a larger server is killed
}

// Server is a running server process.
type Server struct {
	cmd    *exec.Cmd
	done   chan struct{} // closed when the process has ended and err is set
	err    error
	cancel context.CancelCauseFunc
	ctx    context.Context
}

// Start starts a server. The server is killed when ctx ends, when this process dies, and when it uses too much memory.
func Start(ctx context.Context, spec Spec) (*Server, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	cmd := exec.CommandContext(ctx, spec.Path, spec.Args...) //nolint:gosec // the bench builds what it starts
	cmd.Env = spec.Env
	cmd.Stdout, cmd.Stderr = spec.Output, spec.Output
	cmd.WaitDelay = time.Second // for output that a child of the server keeps open
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := onCore(spec.Core, cmd.Start); err != nil {
		cancel(err)
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	s := &Server{cmd: cmd, done: make(chan struct{}), cancel: cancel, ctx: ctx}
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	go s.watch(spec.MaxRSS)
	return s, nil
}

// Run starts a program like Start and waits until it ends by itself.
func Run(ctx context.Context, spec Spec) error {
	s, err := Start(ctx, spec)
	if err != nil {
		return err
	}
	<-s.done
	if s.err != nil {
		return s.exited()
	}
	s.cancel(nil)
	return nil
}

// watch kills the server when it grows too large. It returns when the server ends.
func (s *Server) watch(maxRSS int64) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			if rss, err := s.RSS(); err == nil && maxRSS > 0 && rss > maxRSS {
				s.cancel(fmt.Errorf("%w: %d MB", ErrTooLarge, rss>>20))
				return
			}
		}
	}
}

// WaitListening waits until the server accepts connections at an address.
func (s *Server) WaitListening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return s.exited()
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server has ended, nil while it runs.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.exited()
	default:
		return nil
	}
}

func (s *Server) exited() error {
	if cause := context.Cause(s.ctx); cause != nil {
		return fmt.Errorf("%w: %w", ErrExited, cause)
	}
	return fmt.Errorf("%w: %w", ErrExited, s.err)
}

// Stop ends the server, with SIGTERM first, and waits for its end.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
	}
	s.cancel(nil)
	<-s.done
}

// PID returns the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }
