package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/config"
)

// operatorTimeout bounds an answer of the operator API, which may need a directory and the other nodes.
const operatorTimeout = 10 * time.Second

// maxOperatorAnswer bounds the answer that a command reads, in bytes.
const maxOperatorAnswer = 16 << 20

// operatorClient uses the operator API of a running server.
type operatorClient struct{ url, token string }

// operatorFlags adds the flag --url to a command. The returned function reads the configuration of the operator port.
func (p *program) operatorFlags(cmd *cobra.Command) func() (*operatorClient, error) {
	settings := p.newSettings(cmd, false, nil)
	server := cmd.Flags().String("url", "", "`URL` of the operator port; default: console.listen")
	return func() (*operatorClient, error) {
		l, err := settings.load(func(*config.Config) error { return nil })
		if err != nil {
			return nil, err
		}
		if *server == "" {
			if *server, err = consoleURL(&l.Config); err != nil {
				return nil, usageError{err}
			}
		}
		return &operatorClient{strings.TrimSuffix(*server, "/"), l.Console.Token}, nil
	}
}

// do sends a request and decodes the answer. The error has the words of the server.
func (c *operatorClient) do(ctx context.Context, method, path string, body io.Reader, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, operatorTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return usageError{fmt.Errorf("--url: %w", err)}
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // everything was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxOperatorAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var refusal struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal(text, &refusal); err == nil && refusal.Error != "" {
			return errors.New(refusal.Error)
		}
		return fmt.Errorf("the server answered %s", response.Status)
	}
	return json.Unmarshal(text, answer)
}
