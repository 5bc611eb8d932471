package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
)

// healthTimeout bounds all requests of one run of "health".
const healthTimeout = 2 * time.Second

// maxHealthAnswer bounds the answer that the command reads, in bytes.
const maxHealthAnswer = 64 << 10

func (p *program) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check whether a running server is ready",
		Long: "Sends the probes /healthz and /readyz to the operator port of a running server. Prints one line: the state\n" +
			"(starting, ready, degraded or draining) and what is missing. Ends with 0 if the server is ready or degraded,\n" +
			"and with 1 otherwise. Gives up after " + healthTimeout.String() + ".",
		Args: cobra.NoArgs,
	}
	settings := p.newSettings(cmd, false, nil)
	server := cmd.Flags().String("url", "", "`URL` of the operator port; default: console.listen")
	live := cmd.Flags().Bool("live", false, "check only that the server answers, not that it is ready")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// Not settings.load: its errors end with 2, which container engines reserve.
		l, err := settings.sources.Load(settings.files, func(*config.Config) error { return nil })
		if err != nil {
			return err
		}
		client := consoleClient(&l.Config, *server == "")
		if *server == "" {
			if *server, err = consoleURL(&l.Config); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
		defer cancel()
		return checkHealth(ctx, client, cmd.OutOrStdout(), strings.TrimSuffix(*server, "/"), *live)
	}
	return cmd
}

// checkHealth sends the probes to the operator port at a URL and prints the state. It returns an error unless the
// server is ready or, if only liveness matters, unless it is alive.
func checkHealth(ctx context.Context, client *http.Client, out io.Writer, server string, live bool) error {
	status, _, err := probe(ctx, client, server+"/healthz")
	if err != nil {
		return fmt.Errorf("%w%s", err, adviceOnConnect(err, "--url names another address"))
	}
	if status != http.StatusOK {
		return fmt.Errorf("not alive: /healthz answered %d", status)
	}
	if live {
		_, err = io.WriteString(out, "alive\n")
		return err
	}
	status, answer, err := probe(ctx, client, server+"/readyz")
	if err != nil {
		return err
	}
	var report console.Report
	if err := json.Unmarshal(answer, &report); err != nil || report.State == "" {
		return fmt.Errorf("not ready: /readyz answered %d without a state", status)
	}
	text := []byte(printable(report.State))
	for i, problem := range report.Degraded {
		text = append(text, [...]string{": ", "; "}[min(i, 1)]...)
		text = fmt.Appendf(text, "%q: %q", problem.Check, problem.Detail)
	}
	if status != http.StatusOK {
		return fmt.Errorf("not ready: %s", text)
	}
	_, err = out.Write(append(text, '\n'))
	return err
}

// printable returns a word of an answer as it is if it is one, and quoted otherwise.
func printable(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == "" {
		return word
	}
	return strconv.Quote(word)
}

// probe sends one GET request without a token and returns the status and the body of the answer.
func probe(ctx context.Context, client *http.Client, address string) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, fmt.Errorf("--url: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }() // everything was read
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxHealthAnswer))
	return response.StatusCode, answer, err
}
