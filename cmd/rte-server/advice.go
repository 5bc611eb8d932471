package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/authz/token"
)

// adviceOnConnect returns the next step after an error in connecting, for the end of its message. It is empty for
// unknown errors.
func adviceOnConnect(err error, otherwise string) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "; no server listens there: is it running? " + otherwise
	case errors.As(err, &dns):
		return "; this name is not known here; " + otherwise
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ETIMEDOUT):
		return "; no way leads there from here: a firewall, or a wrong address? " + otherwise
	default:
		return ""
	}
}

// adviceOnToken returns why a server refused a token for clients, as far as the token shows it. It does not
// check the signature.
func adviceOnToken(bearer string, now time.Time) string {
	if bearer == "" {
		return "the server wants a token: --token, or the variable TOKEN; \"rte-server token\" signs one"
	}
	from, until, err := token.ReadTimes(bearer)
	switch {
	case errors.Is(err, token.ErrNoTimes):
		return "the token was refused: it has no expiry (exp)"
	case err != nil:
		return "the token was refused: it is no JWT"
	case until.Before(now):
		return fmt.Sprintf("the token was refused; it expired %s ago", roughly(now.Sub(until)))
	case from.After(now):
		return fmt.Sprintf("the token was refused; it is valid in %s only", roughly(from.Sub(now)))
	default:
		return "the token was refused; the audit log of the server has the reason, such as a wrong key, issuer or audience"
	}
}

// roughly returns a duration in its largest unit.
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := int(d / unit.size); n == 1 {
			return "1 " + unit.name
		} else if n > 1 {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "a moment"
}

// refuseUnknown makes commands with subcommands refuse any other name. The library prints the help and succeeds:
// "config chek" looked like a check that had passed.
func refuseUnknown(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		refuseUnknown(sub)
	}
	if !cmd.HasSubCommands() || cmd.RunE != nil || !cmd.HasParent() {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		cmd.SuggestionsMinimumDistance = 2
		if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
			text += fmt.Sprintf("; did you mean %q?", similar[0])
		}
		return errors.New(text)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}
