package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// program is one run of the command line: what it was started with. Commands are its methods.
type program struct {
	environ        []string // as os.Environ has it
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is an error of whoever wrote the command line or the configuration: nothing was done.
type usageError struct{ error }

// Unwrap lets errors.Is see what is wrong.
func (e usageError) Unwrap() error { return e.error }

// run executes a command line and writes its error, if any, to stderr. Commands that run until they are told end when
// ctx does, or at SIGINT or SIGTERM.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.newRoot()
	root.SetArgs(args)

	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	err := root.ExecuteContext(ctx)
	if err != nil && !understood {
		err = usageError{err}
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "rte-server: %v\n", err) // there is nobody else to tell
	}
	return err
}

// exitCode is 0 for success, 2 for a command line or a configuration that cannot be used and 1 for everything that went
// wrong later.
func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usageError{}):
		return 2
	default:
		return 1
	}
}

// newRoot is the tree of commands.
func (p *program) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "rte-server",
		Short: "A SignalR hub for the events of contact centres",
		Long: "rte-server brings the events of users, queues and call lists to SignalR clients over WebSocket.\n" +
			"To look around, start \"rte-server dev\": it needs nothing else.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(p.devCommand(), p.serveCommand(), p.tokenCommand(), p.publishCommand(), p.tapCommand(), p.explainCommand(), p.simulateCommand(),
		p.benchCommand(), p.redisCommand(), p.configCommand(), p.asyncAPICommand(), p.versionCommand())
	return root
}
