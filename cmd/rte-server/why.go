package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/rte-server/rte-server/internal/console"
)

func (p *program) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why (--event ID | --entity GUID) [--user GUID]",
		Short: "Explain why a user did or did not receive an event",
		Long: "Asks a running server, through its operator port, what became of an event on all nodes.\n" +
			"With --user it prints one sentence; without, what each node did. --entity lists the latest events of an entity\n" +
			"instead of one event. The exit code is 0 if there is an answer.",
		Args: cobra.NoArgs,
	}
	c := p.newOperatorPort(cmd)
	values := map[string]*string{
		"id":           cmd.Flags().String("event", "", "`Id` of the event"),
		"user":         cmd.Flags().String("user", "", "`GUID` of the user"),
		"entity":       cmd.Flags().String("entity", "", "`GUID` of the entity whose events are listed"),
		"event":        cmd.Flags().String("type", "", "`name` of the events that are listed"),
		"organization": cmd.Flags().String("org", "", "`GUID` of the organization of the events"),
		"since":        cmd.Flags().String("since", "", "`time` or duration before now of the first event in the list"),
	}
	dryRun := cmd.Flags().String("dry-run", "", "`JSON` of an event: who would receive it if it were published now")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		query := url.Values{}
		for key, value := range values {
			if *value != "" && key != "id" {
				query.Set(key, *value)
			}
		}
		id := *values["id"]
		switch {
		case *dryRun != "":
		case id == "" && len(query) == 0:
			return usageError{errors.New("want --event, or a filter for the list of events")}
		case id != "" && *values["since"] != "":
			return usageError{errors.New("--since is for lists: it has no meaning with --event")}
		}
		if err := c.load(); err != nil {
			return err
		}
		if *dryRun != "" {
			return c.dryRun(cmd.Context(), cmd.OutOrStdout(), *dryRun, query)
		}
		if id == "" {
			return c.listEvents(cmd.Context(), cmd.OutOrStdout(), query)
		}
		return c.why(cmd.Context(), cmd.OutOrStdout(), id, query)
	}
	return cmd
}

// why prints what became of one event.
func (o *operatorPort) why(ctx context.Context, out io.Writer, id string, query url.Values) error {
	var t console.EventTrace
	if err := o.do(ctx, http.MethodGet, "/api/events/"+url.PathEscape(id), query, "", &t); err != nil {
		return err
	}
	if t.Conclusion != nil {
		return o.print(out, []byte(t.Conclusion.Text+"\n"))
	}
	text := []byte("event " + t.Event + "\n")
	for i := range t.Nodes {
		text = appendNode(text, &t.Nodes[i])
	}
	return o.print(out, appendUnanswered(text, &t.Reached))
}

// appendNode appends what one node did with an event.
func appendNode(text []byte, n *console.NodeTrace) []byte {
	text = fmt.Appendf(text, "node %s\n", n.Node)
	if len(n.Records) == 0 {
		text = fmt.Appendf(text, "  did not receive it since %s\n", n.Since.Format(time.RFC3339))
	}
	for i := range n.Records {
		r := &n.Records[i]
		text = fmt.Appendf(text, "  %s  %s %s of %s", r.At.Format("15:04:05.000"), r.Outcome, r.Type, r.Entity)
		if r.Tier != "" {
			text = fmt.Appendf(text, ", by %s on %s", r.Tier, r.Lane)
		}
		if r.AgeMS != nil {
			text = fmt.Appendf(text, ", %d ms old", *r.AgeMS)
		}
		if r.Reason != "" {
			text = fmt.Appendf(text, ": %s", r.Reason)
		}
		text = append(text, '\n')
	}
	for i := range n.Connections {
		k := &n.Connections[i]
		text = fmt.Appendf(text, "  %s of user %s: %s\n", k.Connection, k.User, k.Detail)
	}
	if n.More {
		text = append(text, "  and more connections\n"...)
	}
	return text
}

// appendUnanswered appends the nodes that did not answer.
func appendUnanswered(text []byte, reached *console.Reached) []byte {
	for _, problem := range reached.Unanswered {
		text = fmt.Appendf(text, "node %s: %s\n", problem.Node, problem.Detail)
	}
	return text
}

// listedTime is the form of times in lists.
const listedTime = "2006-01-02T15:04:05.000Z07:00"

// listEvents prints the events that match.
func (o *operatorPort) listEvents(ctx context.Context, out io.Writer, query url.Values) error {
	var list console.EventList
	if err := o.do(ctx, http.MethodGet, "/api/events", query, "", &list); err != nil {
		return err
	}
	var text []byte
	for i := range list.Events {
		e := &list.Events[i]
		text = fmt.Appendf(text, "%s  %s  %s of %s\n", e.At.Format(listedTime), e.Event, e.Type, e.Entity)
		if e.Conclusion != nil {
			text = fmt.Appendf(text, "    %s\n", e.Conclusion.Text)
			continue
		}
		for _, n := range e.Nodes {
			text = fmt.Appendf(text, "    node %s: %s", n.Node, n.Outcome)
			switch {
			case n.Reason != "":
				text = fmt.Appendf(text, ": %s", n.Reason)
			case n.Subscribers > 0:
				text = fmt.Appendf(text, ", %d subscribers", n.Subscribers)
			}
			text = append(text, '\n')
		}
	}
	if len(list.Events) == 0 {
		text = fmt.Appendf(text, "no such event since %s\n", list.Since.Format(time.RFC3339))
	}
	return o.print(out, appendUnanswered(text, &list.Reached))
}

// dryRun prints who would receive an event.
func (o *operatorPort) dryRun(ctx context.Context, out io.Writer, event string, query url.Values) error {
	var d console.DryRun
	if err := o.do(ctx, http.MethodPost, "/api/events/dry-run", query, event, &d); err != nil {
		return err
	}
	text := fmt.Appendf(nil, "%s of %s on %s: %s would receive it\n", d.Type, d.Entity, d.Lane, connections(d.Receivers))
	if d.Expired {
		text = append(text, "but its MessageTTLSeconds have ended: nodes skip it\n"...)
	}
	named := 0
	for i := range d.Nodes {
		n := &d.Nodes[i]
		named += len(n.Connections)
		if n.Problem != "" {
			text = fmt.Appendf(text, "node %s: events may not arrive now: %s\n", n.Node, n.Problem)
		}
		for j := range n.Connections {
			k := &n.Connections[j]
			text = fmt.Appendf(text, "  %s of user %s on node %s: %s\n", k.Connection, k.User, n.Node, k.Detail)
		}
	}
	if user := query.Get("user"); user != "" && named == 0 {
		text = fmt.Appendf(text, "user %s would not: it has no connection\n", user)
	}
	return o.print(out, appendUnanswered(text, &d.Reached))
}
