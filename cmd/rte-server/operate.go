package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/config"
)

const (
	// operateTimeout bounds one request to the operator port.
	operateTimeout = 10 * time.Second
	// maxOperateAnswer bounds the answer that a command reads, in bytes.
	maxOperateAnswer = 16 << 20
)

// operatorPort is the operator port of a running server, as the flags of a command name it.
type operatorPort struct {
	settings *settings
	url      *string
	output   *output
	token    string
	client   *http.Client
	answer   []byte // the last answer, as the server sent it
}

// newOperatorPort adds the flags that name the port.
func (p *program) newOperatorPort(cmd *cobra.Command) *operatorPort {
	return &operatorPort{
		settings: p.newSettings(cmd, false, nil),
		url:      cmd.Flags().String("url", "", "`URL` of the operator port; default: console.listen"),
		output:   newOutput(cmd),
	}
}

// print prints the last answer: as text, or as the server sent it.
func (o *operatorPort) print(out io.Writer, text []byte) error {
	if *o.output == outputJSON {
		text = append(bytes.TrimSpace(o.answer), '\n')
	}
	_, err := out.Write(text)
	return err
}

// load reads the configuration.
func (o *operatorPort) load() error {
	l, err := o.settings.load(func(*config.Config) error { return nil })
	if err != nil {
		return err
	}
	o.token, o.client = l.Console.Token, consoleClient(&l.Config, *o.url == "")
	if *o.url == "" {
		if *o.url, err = consoleURL(&l.Config); err != nil {
			return usageError{err}
		}
	}
	*o.url = strings.TrimSuffix(*o.url, "/")
	return nil
}

// do sends a request and decodes its answer. Call load before.
func (o *operatorPort) do(ctx context.Context, method, path string, query url.Values, body string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, operateTimeout)
	defer cancel()
	address := *o.url + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return usageError{fmt.Errorf("--url: %w", err)}
	}
	if o.token != "" {
		request.Header.Set("Authorization", "Bearer "+o.token)
	}
	response, err := o.client.Do(request)
	if err != nil {
		return fmt.Errorf("operator port: %w%s", err, adviceOnConnect(err, "--url names another address"))
	}
	defer func() { _ = response.Body.Close() }() // everything was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxOperateAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusAccepted {
		o.answer = text
		return json.Unmarshal(text, answer)
	}
	var refusal struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(text, &refusal); err != nil || refusal.Error == "" {
		refusal.Error = "the server answered " + response.Status
	}
	if response.StatusCode == http.StatusUnauthorized {
		refusal.Error += "; set console.token to the token of the server, such as in RTE_CONSOLE_TOKEN"
	}
	return errors.New(refusal.Error)
}
