package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/console"
)

const (
	// liveTimeout is the longest silence: after it, the command opens the tap again.
	liveTimeout = 45 * time.Second
	// firstPause and lastPause bound the time between two attempts to open a tap again.
	firstPause, lastPause = 500 * time.Millisecond, 10 * time.Second
	// maxTokenFile bounds the file of the token.
	maxTokenFile = 64 << 10
)

// liveTap has the flags of a tap of the operator port.
type liveTap struct {
	operator, tokenFile string
	form                *output
	sample              float64
	filters             map[string]*string
	events              []string
	left                int // events until the end; 0: no limit
	out, notices        io.Writer
}

// addFlags adds the flags that go with --operator.
func (l *liveTap) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&l.operator, "operator", "",
		"`URL` of an operator port: watch events of all nodes, without a subscription")
	flags.StringVar(&l.tokenFile, "token-file", "", "`file` with the token of the operator port")
	l.form = newOutput(cmd)
	flags.Float64Var(&l.sample, "sample", 1, "`part` of the events that --operator shows")
	flags.StringSliceVar(&l.events, "event", nil, "`names` of the events that --operator shows, separated by commas")
	l.filters = map[string]*string{
		"organization": flags.String("org", "", "`GUID` of the organization whose events --operator shows"),
		"entity":       flags.String("entity", "", "`GUID` of the entity whose events --operator shows"),
		"connection":   flags.String("connection", "", "`id` of the connection whose events --operator shows"),
		"user":         flags.String("user", "", "`GUID` of the user whose events --operator shows"),
		"nodes":        flags.String("nodes", "", "`nodes` whose events --operator shows: all or self"),
		"data":         flags.String("data", "", "part of the `data` that --operator shows: masked, none or full"),
	}
}

// query returns the parameters of the tap.
func (l *liveTap) query(cmd *cobra.Command) (url.Values, error) {
	if address, err := url.Parse(l.operator); err != nil || address.Host == "" {
		return nil, usageError{errors.New("--operator: must be a URL such as http://127.0.0.1:9090")}
	}
	query := url.Values{}
	for key, value := range l.filters {
		if *value != "" {
			query.Set(key, *value)
		}
	}
	if len(l.events) > 0 {
		query.Set("event", strings.Join(l.events, ","))
	}
	if cmd.Flags().Changed("sample") {
		query.Set("sample", fmt.Sprint(l.sample))
	}
	return query, nil
}

// token reads the token again for each attempt: the file may have changed.
func (l *liveTap) token(fallback string) (string, error) {
	if l.tokenFile == "" {
		return fallback, nil
	}
	text, err := config.ReadFile(l.tokenFile, maxTokenFile)
	if err != nil {
		return "", usageError{fmt.Errorf("--token-file: %w", err)}
	}
	return strings.TrimSpace(string(text)), nil
}

// run prints events until ctx ends or the limit is reached. After the first success it opens the tap again when the
// server restarts.
func (l *liveTap) run(ctx context.Context, query url.Values, fallback string) error {
	pause, opened := firstPause, false
	for {
		token, err := l.token(fallback)
		if err != nil {
			return err
		}
		was, err := l.follow(ctx, query, token)
		if opened = opened || was; was {
			pause = firstPause
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, errTapped):
			return nil //nolint:nilerr // the operator or the number of events ends the tap
		case !opened || isFinal(err):
			return err
		}
		fmt.Fprintf(l.notices, "the tap ended (%v); trying again in %s\n", err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, lastPause)
	}
}

// refusedTap is the refusal of a server to open a tap.
type refusedTap struct {
	status int
	text   string
}

// Error implements error.
func (r refusedTap) Error() string { return r.text }

// isFinal reports whether a further attempt would end in the same way.
func isFinal(err error) bool {
	refusal, ok := errors.AsType[refusedTap](err)
	return ok && refusal.status < http.StatusInternalServerError && refusal.status != http.StatusTooManyRequests ||
		errors.As(err, &usageError{}) || errors.As(err, &printError{})
}

// printError means that the output cannot be written.
type printError struct{ error }

// follow opens a tap and prints its frames to its end. opened reports whether the server opened it.
func (l *liveTap) follow(ctx context.Context, query url.Values, token string) (opened bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(liveTimeout, func() { cancel(errors.New("the server was silent for too long")) })
	defer silent.Stop()
	address := strings.TrimSuffix(l.operator, "/") + "/api/tap?" + query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false, usageError{fmt.Errorf("--operator: %w", err)}
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: operateTimeout,
	}}
	response, err := client.Do(request)
	if err != nil {
		return false, fmt.Errorf("%w%s", err, adviceOnConnect(err, "--operator names another address"))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false, refusalOf(response)
	}
	err = readEvents(response.Body, func() { silent.Reset(liveTimeout) }, l.print)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return true, err
}

// refusalOf returns why a server opens no tap.
func refusalOf(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxTokenFile)) // a part of the reason is worth showing
	var refusal struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &refusal) != nil || refusal.Error == "" {
		refusal.Error = fmt.Sprintf("the server answered %s: %.200s", response.Status, strings.TrimSpace(string(text)))
	}
	err := error(refusedTap{response.StatusCode, refusal.Error})
	if response.StatusCode == http.StatusBadRequest {
		return usageError{err}
	}
	return err
}

// print prints a frame.
func (l *liveTap) print(event, data string) error {
	var line string
	switch event {
	case "event":
		line = data
		if *l.form == outputText {
			var e console.TapEvent
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				return fmt.Errorf("event: %w", err)
			}
			line = describeTapEvent(&e)
		}
		if _, err := fmt.Fprintln(l.out, line); err != nil {
			return printError{err}
		}
		if l.left > 0 {
			if l.left--; l.left == 0 {
				return errTapped
			}
		}
		return nil
	case "hello":
		var hello console.TapHello
		if err := json.Unmarshal([]byte(data), &hello); err != nil {
			return fmt.Errorf("hello: %w", err)
		}
		slices.Sort(hello.Nodes)
		line = fmt.Sprintf("tap of %s, data %s, at most %d events/s of each node", strings.Join(hello.Nodes, ", "),
			hello.Filter.Data, hello.EventsPerSecond)
	case "dropped":
		var d console.TapDropped
		if err := json.Unmarshal([]byte(data), &d); err != nil {
			return fmt.Errorf("dropped: %w", err)
		}
		line = fmt.Sprintf("left out %d events of %s since %s: %s", d.Count, d.Node, d.Since.Format("15:04:05"), d.Reason)
	case "node":
		var n console.TapNode
		if err := json.Unmarshal([]byte(data), &n); err != nil {
			return fmt.Errorf("node: %w", err)
		}
		line = strings.TrimSpace("node " + n.Node + " " + n.State + " " + n.Detail)
	default:
		return nil // of a later version
	}
	_, err := fmt.Fprintln(l.notices, line)
	return err
}

// describeTapEvent returns the line of an event.
func describeTapEvent(e *console.TapEvent) string {
	line := fmt.Sprintf("%s %s %s %s of %s %s, %d subscribers on %s", e.At.Local().Format("15:04:05.000"), e.Outcome,
		e.Event, strings.ToLower(e.EntityType), e.Entity, e.ID, e.Subscribers, e.Node)
	if e.AgeMS != nil {
		line += fmt.Sprintf(", %d ms old", *e.AgeMS)
	}
	if len(e.Data) > 0 {
		line += " " + string(e.Data)
	}
	return line
}
