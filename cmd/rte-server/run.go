package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// program is one run of the command line. Commands are its methods.
type program struct {
	environ        []string // in the form of os.Environ
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is an error in the command line or the configuration. The command has done nothing.
type usageError struct{ error }

// Unwrap returns the wrapped error.
func (e usageError) Unwrap() error { return e.error }

// run executes a command line and writes its error, if any, to stderr. Servers run until ctx ends or a signal
// arrives.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.newRoot()
	root.SetArgs(args)

	understood := false
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	err := root.ExecuteContext(ctx)
	if err != nil && !understood {
		if flag, value, ok := separateToggle(root, args); ok {
			err = fmt.Errorf("%w (say --%s=%s)", err, flag, value)
		}
		err = usageError{err}
	}
	if err != nil && !errors.Is(err, errRefused) { // the command has printed the decision
		report(p.stderr, "rte-server: %v\n", err)
	}
	return err
}

// exitCode returns 0 for success, 2 for an invalid command line or configuration, and 1 for any later failure.
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

// newRoot makes the tree of commands.
func (p *program) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "rte-server",
		Short: "A SignalR hub for the events of contact centres",
		Long: "rte-server delivers events of users, queues and call lists to SignalR clients over WebSocket.\n" +
			"To try it, run \"rte-server dev\": it needs nothing else.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(p.devCommand(), p.serveCommand(), p.tokenCommand(), p.publishCommand(), p.tapCommand(),
		p.explainCommand(), p.whyCommand(), p.healthCommand(), p.capacityCommand(), p.drainCommand(),
		p.shedCommand(), p.revocationsCommand(), p.simulateCommand(),
		p.benchCommand(), p.redisCommand(), p.configCommand(), p.asyncAPICommand(), p.openAPICommand(),
		p.versionCommand())
	refuseUnknown(root)
	return root
}

// separateToggle looks for a flag that is on or off and whose value is an argument of its own, as in "--auth.refresh
// true". The command would take the value for an argument.
func separateToggle(root *cobra.Command, args []string) (flag, value string, ok bool) {
	cmd, _, err := root.Find(args)
	if err != nil {
		return "", "", false
	}
	for i := range len(args) - 1 {
		name, isFlag := strings.CutPrefix(args[i], "--")
		_, err := strconv.ParseBool(args[i+1])
		if f := cmd.Flags().Lookup(name); isFlag && err == nil && f != nil && f.NoOptDefVal != "" {
			return name, args[i+1], true
		}
	}
	return "", "", false
}
