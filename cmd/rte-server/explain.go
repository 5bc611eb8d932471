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

// explainTimeout bounds the answer, which may need a directory.
const explainTimeout = 10 * time.Second

// maxExplanation bounds the answer that the command reads, in bytes.
const maxExplanation = 1 << 20

func (p *program) explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Explain an authorization decision",
		Long: "Asks a running server, through its operator port, to decide as it would for Subscribe and to give its " +
			"reasons. The\n" +
			"server takes the claims from a connection of the user; without a connection, from the directory.",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	query := url.Values{}
	values := map[string]*string{
		"user":         cmd.Flags().String("user", "", "`GUID` of the user"),
		"entity":       cmd.Flags().String("entity", "", "`GUID` of the entity"),
		"event":        cmd.Flags().String("event", "", "`name` of the event"),
		"trace":        cmd.Flags().String("trace", "", "`id` of a refusal, as the client got it; replaces the other flags"),
		"role":         cmd.Flags().String("role", "", "`role` to assume instead of the connection's"),
		"organization": cmd.Flags().String("org", "", "`GUID` of the organization to assume instead of the connection's"),
	}
	server := cmd.Flags().String("url", "", "`URL` of the operator port; default: console.listen")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		l, err := settings.load(func(*config.Config) error { return nil })
		if err != nil {
			return err
		}
		for key, value := range values {
			if *value != "" {
				query.Set(key, *value)
			}
		}
		client := consoleClient(&l.Config, *server == "")
		if *server == "" {
			if *server, err = consoleURL(&l.Config); err != nil {
				return usageError{err}
			}
		}
		address := *server + "/api/explain?" + query.Encode()
		return explain(cmd.Context(), client, cmd.OutOrStdout(), address, l.Console.Token)
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

// explain sends the request and prints the answer.
func explain(ctx context.Context, client *http.Client, out io.Writer, address, token string) error {
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return usageError{fmt.Errorf("--url: %w", err)}
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // everything was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxExplanation))
	if err != nil {
		return err
	}
	var answer struct {
		console.Explanation
		Error string `json:"error"`
	}
	if err := json.Unmarshal(text, &answer); response.StatusCode != http.StatusOK || err != nil {
		if answer.Error != "" {
			return errors.New(answer.Error)
		}
		return fmt.Errorf("the server answered %s", response.Status)
	}
	var refusal hub.Refusal // the answer to a trace
	if err := json.Unmarshal(text, &refusal); err == nil && refusal.Trace != "" {
		return printRefusal(out, &refusal)
	}
	return printExplanation(out, &answer.Explanation)
}

// printRefusal prints a refusal and its reasons at that time.
func printRefusal(out io.Writer, r *hub.Refusal) error {
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
	_, err := out.Write(text)
	return err
}

// printExplanation prints an explanation.
func printExplanation(out io.Writer, e *console.Explanation) error {
	text := fmt.Appendf(nil, "%s, %s of %s by its %s\n", e.User, e.Role, e.Organization, e.Source)
	text = appendSteps(text, e.Steps)
	if e.Allowed {
		text = append(text, "allowed\n"...)
	} else {
		text = fmt.Appendf(text, "refused: %s\n", e.Message)
	}
	_, err := out.Write(text)
	return err
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
