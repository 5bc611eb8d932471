package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/philippseith/signalr"
	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/hub"
)

// tapping has the flags and arguments of a tap.
type tapping struct {
	url, token string
	features   []string
	count      int
	topics     []tapTopic
}

// tapTopic is an item of Subscribe.
type tapTopic struct {
	EntityID  string `json:"EntityId"`
	EventName string `json:"EventName"`
}

// tapResult is the result of a tapTopic.
type tapResult struct {
	Subscribed bool   `json:"subscribed"`
	Message    string `json:"message"`
	EntityID   string `json:"entityId"`
	EventName  string `json:"eventName"`
	TraceID    string `json:"traceId"` // only for clients with notices
}

// String describes a refusal for the user.
func (r *tapResult) String() string {
	text := r.EntityID + ":" + r.EventName + ": " + r.Message
	if r.TraceID != "" {
		text += ", trace " + r.TraceID
	}
	return text
}

func (p *program) tapCommand() *cobra.Command {
	t, live := &tapping{}, &liveTap{out: p.stdout, notices: p.stderr}
	cmd := &cobra.Command{
		Use:   "tap (--url URL [--token TOKEN] ENTITY[:EVENT]... | --operator URL [--token-file FILE] [filters])",
		Short: "Print the events that a client gets, or that arrive at the nodes",
		Long: "Connects to a hub, subscribes to events of entities (without EVENT, to all events of the entity) and prints " +
			"each\n" +
			"message as a line of JSON. Refusals go to standard error; if the hub refuses everything, the exit code is 1. " +
			"Without\n" +
			"--token, the command takes the token from the variable TOKEN, which other users of the machine cannot read.\n\n" +
			"With --features snapshot, the last states come first, as messages. With --features notices, standard error also " +
			"has\n" +
			"the traces of refusals and the notices: SubscriptionsEnded, Resync and Closing.\n\n" +
			"With --operator, the command uses the operator port: it prints what each node does with the events that the " +
			"filters\n" +
			"select, without personal data unless --data=full. Standard error has what was left out, nodes that join or are " +
			"lost,\n" +
			"and attempts to connect again. The token is in --token-file or in the variable TOKEN. The exit code is 2 if a " +
			"filter is\n" +
			"wrong, and 1 if the server cannot be reached or refuses the token.",
	}
	cmd.Flags().StringVar(&t.url, "url", "http://127.0.0.1:8080/rte", "`URL` of the hub")
	cmd.Flags().StringVar(&t.token, "token", "", "token to connect with")
	cmd.Flags().StringSliceVar(
		&t.features, "features", nil, "extensions to request, separated by commas: notices, snapshot, limits",
	)
	cmd.Flags().IntVar(&t.count, "count", 0, "`number` of messages after which to stop; 0: none")
	live.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if (live.operator == "") == (len(args) == 0) {
			return usageError{errors.New("want either ENTITY or --operator")}
		}
		for _, variable := range p.environ {
			if value, ok := strings.CutPrefix(variable, "TOKEN="); ok && t.token == "" {
				t.token = value
			}
		}
		if live.operator != "" {
			query, err := live.query(cmd)
			if err != nil {
				return err
			}
			live.left = t.count
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return live.run(ctx, query, t.token)
		}
		for _, name := range t.features {
			if len(hub.ParseFeatures(name).Names()) != 1 {
				return usageError{fmt.Errorf("--features: there is no %q, but notices, snapshot and limits", name)}
			}
		}
		if err := t.addFeatures(); err != nil {
			return usageError{fmt.Errorf("--url: %w", err)}
		}
		for _, arg := range args {
			entity, event, _ := strings.Cut(arg, ":")
			if _, err := parseID("ENTITY", entity); err != nil {
				return usageError{err}
			}
			t.topics = append(t.topics, tapTopic{entity, event})
		}
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		return t.run(ctx, p.stdout, p.stderr)
	}
	return cmd
}

// addFeatures adds the features to the URL.
func (t *tapping) addFeatures() error {
	if len(t.features) == 0 {
		return nil
	}
	address, err := url.Parse(t.url)
	if err != nil {
		return err
	}
	query := address.Query()
	query.Set("features", strings.Join(append(query["features"], t.features...), ","))
	address.RawQuery = query.Encode()
	t.url = address.String()
	return nil
}

// errTapped is the cause of the end of a tap that has received --count messages.
var errTapped = errors.New("all messages were received")

// run taps until ctx ends, the server closes the connection or --count messages have arrived.
func (t *tapping) run(ctx context.Context, stdout, stderr io.Writer) error {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	printer := &tapPrinter{out: stdout, notices: stderr, left: t.count, done: cancel}
	conn, err := dialTap(ctx, t.url, t.token, printer.invoked)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.close()

	client, err := signalr.NewClient(ctx, signalr.WithConnection(conn), signalr.WithReceiver(&tapReceiver{}),
		signalr.MaximumReceiveMessageSize(maxTapMessage), signalr.Logger(nopLogger{}, false))
	if err != nil {
		return err
	}
	client.Start()
	defer client.Stop()
	if err := t.subscribe(ctx, client, printer); err != nil && context.Cause(ctx) == nil {
		return err
	}
	err = <-client.WaitForState(ctx, signalr.ClientClosed)
	switch {
	case errors.Is(context.Cause(ctx), errTapped) || outer.Err() != nil:
		return nil
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	default:
		return errors.Join(errors.New("the server closed the connection"), client.Err(), err)
	}
}

// tapBatch bounds the items of a Subscribe: an item has 90 bytes, so they fit into the 32 KiB that servers usually
// allow.
const tapBatch = 200

// subscribe subscribes to the topics and prints refusals.
func (t *tapping) subscribe(ctx context.Context, client signalr.Client, printer *tapPrinter) error {
	var topics []tapTopic
	for _, topic := range t.topics {
		if topic.EventName != "" {
			topics = append(topics, topic)
			continue
		}
		var names []string
		if err := invoke(ctx, client, &names, "AvailableSubscriptions"); err != nil {
			return err
		}
		for _, name := range names {
			topics = append(topics, tapTopic{topic.EntityID, name})
		}
	}
	subscribed := 0
	for some := range slices.Chunk(topics, tapBatch) {
		var results []tapResult
		if err := invoke(ctx, client, &results, "Subscribe", some); err != nil {
			return err
		}
		for i, r := range results {
			if r.Subscribed {
				subscribed++
			} else if i < len(some) && t.named(some[i]) {
				printer.printNotice(r.String())
			}
		}
	}
	if subscribed == 0 {
		return errors.New("nothing could be subscribed to")
	}
	return nil
}

// named reports whether the command line names the topic itself. Of all events of an entity, some do not exist for it,
// and their refusals are not worth a line.
func (t *tapping) named(topic tapTopic) bool { return slices.Contains(t.topics, topic) }

// invoke calls a method of the hub and decodes its answer into result.
func invoke(ctx context.Context, client signalr.Client, result any, method string, arguments ...any) error {
	value, err := await(ctx, client.Invoke(method, arguments...))
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	// The library has decoded the answer into generic values.
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// await waits for the answer of a call. The library sends its result and the absence of an error one by one, in any
// order, and then closes the Go channel.
func await(ctx context.Context, answers <-chan signalr.InvokeResult) (value any, err error) {
	for {
		select {
		case answer, ok := <-answers:
			if !ok {
				return value, err
			}
			if answer.Value != nil {
				value = answer.Value
			}
			err = errors.Join(err, answer.Error)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tapReceiver has the methods that the library must find. tapConn has printed the messages already.
type tapReceiver struct{}

// MessageReceived is called by the library.
func (*tapReceiver) MessageReceived(json.RawMessage) {}

// SubscriptionsEnded is called by the library.
func (*tapReceiver) SubscriptionsEnded(json.RawMessage) {}

// Resync is called by the library.
func (*tapReceiver) Resync(json.RawMessage) {}

// Closing is called by the library.
func (*tapReceiver) Closing(json.RawMessage) {}

// Limits is called by the library.
func (*tapReceiver) Limits(json.RawMessage) {}

// nopLogger is the logger of the library; it drops everything.
type nopLogger struct{}

// Log implements signalr.StructuredLogger.
func (nopLogger) Log(...any) error { return nil }
