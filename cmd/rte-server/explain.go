package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/hub"
)

func (p *program) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Explain an authorization decision",
		Long: "Asks a running server, through its operator port, to decide as it would for Subscribe and to give its " +
			"reasons. The\n" +
			"server takes the claims from a connection of the user; without a connection, from the directory.\n" +
			"The exit code is 0 if the decision allows, 1 if it refuses, and 2 without a decision.",
		Args: cobra.NoArgs,
	}
	port := p.newOperatorPort(cmd)
	query := url.Values{}
	values := map[string]*string{
		"user":         cmd.Flags().String("user", "", "`GUID` of the user"),
		"entity":       cmd.Flags().String("entity", "", "`GUID` of the entity"),
		"event":        cmd.Flags().String("event", "", "`name` of the event"),
		"trace":        cmd.Flags().String("trace", "", "`id` of a refusal, as the client got it; replaces the other flags"),
		"role":         cmd.Flags().String("role", "", "`role` to assume instead of the connection's"),
		"organization": cmd.Flags().String("org", "", "`GUID` of the organization to assume instead of the connection's"),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for key, value := range values {
			if *value != "" {
				query.Set(key, *value)
			}
		}
		if err := port.load(); err != nil {
			return err
		}
		if err := explain(cmd.Context(), port, cmd.OutOrStdout(), query); err != nil && !errors.Is(err, errRefused) {
			return usageError{err} // there is no decision
		} else {
			return err
		}
	}
	return cmd
}

// consoleURL returns the URL of the configured operator port, for use on this machine. A port on all addresses gets a
// loopback address, not "localhost": the image has no hosts file of its own.
func consoleURL(c *config.Config) (string, error) {
	host, port, err := net.SplitHostPort(c.Console.Listen)
	if err != nil {
		return "", errors.New("console.listen: there is no operator port; use --url")
	}
	switch ip := net.ParseIP(host); {
	case host == "", ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.IsUnspecified():
		host = "::1"
	}
	scheme := "http://"
	if c.Console.TLS.CertFile != "" {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port), nil
}

// consoleClient returns a client of the operator port. own means that the URL is that of the configuration: the port
// must then have the certificate of the configuration.
func consoleClient(c *config.Config, own bool) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	if own {
		transport.TLSClientConfig = c.Console.TLS.ClientTLS()
	}
	return &http.Client{Transport: transport}
}

// errRefused is the result of a decision that refuses.
var errRefused = errors.New("refused")

// explain sends the request and prints the answer. It returns errRefused if the decision refuses.
func explain(ctx context.Context, port *operatorPort, out io.Writer, query url.Values) error {
	var answer console.Explanation
	if err := port.do(ctx, http.MethodGet, "/api/explain", query, "", &answer); err != nil {
		return err
	}
	var refusal hub.Refusal // the answer to a trace
	if err := json.Unmarshal(port.answer, &refusal); err == nil && refusal.Trace != "" {
		return errors.Join(port.print(out, refusalText(&refusal)), errRefused)
	}
	if err := port.print(out, explanationText(&answer)); err != nil || answer.Allowed {
		return err
	}
	return errRefused
}

// refusalText returns a refusal and its reasons at that time.
func refusalText(r *hub.Refusal) []byte {
	text := fmt.Appendf(nil, "%s, %s of %s, connection %s\n%s: %d refused\n",
		r.User, r.Role, r.Organization, r.Connection, r.Time.Format(time.RFC3339), r.Refused)
	for i := range r.Items {
		item := &r.Items[i]
		text = fmt.Appendf(text, "%q of %q\n", item.EventName, item.EntityID)
		if item.Explanation != nil {
			text = appendSteps(text, item.Explanation.Steps)
		}
		text = fmt.Appendf(text, "  refused: %s (%s)\n", item.Message, item.Code)
	}
	return text
}

// explanationText returns an explanation.
func explanationText(e *console.Explanation) []byte {
	text := fmt.Appendf(nil, "%s, %s of %s by its %s\n", e.User, e.Role, e.Organization, e.Source)
	text = appendSteps(text, e.Steps)
	if e.Allowed {
		return append(text, "allowed\n"...)
	}
	return fmt.Appendf(text, "refused: %s\n", e.Message)
}

// appendSteps appends a line for each step.
func appendSteps(text []byte, steps []authz.Step) []byte {
	for _, step := range steps {
		mark := "yes"
		if !step.Passed {
			mark = "no "
		}
		text = fmt.Appendf(text, "  %s  %-12s  %s\n", mark, step.Name, step.Reason)
	}
	return text
}
