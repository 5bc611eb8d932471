package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
)

// Replies are the answers of the other nodes to a request.
type Replies struct {
	Answers map[string]json.RawMessage // by the name of the node
	Silent  []string                   // nodes that did not answer in time
}

// nodeQuery is an operator's request to the other nodes: an operation that each carries out for itself.
type nodeQuery struct {
	Operation string          `json:"operation"`
	Query     string          `json:"query"` // encoded parameters
	Body      json.RawMessage `json:"body,omitempty"`
	Action    *nodeAction     `json:"action,omitempty"` // for one of the nodes
}

// reply is the answer of a node.
type reply struct {
	Answer json.RawMessage `json:"answer,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// operation carries out a request for this node alone.
type operation func(ctx context.Context, query url.Values, body []byte) (any, error)

// operations are the requests that nodes ask each other.
func (o *Operator) operations() map[string]operation {
	return map[string]operation{
		"trace":       o.traceHere,
		"subscribers": o.subscribersHere,
		"connections": o.connectionsHere,
		"connection":  o.connectionHere,
		"explain": func(ctx context.Context, query url.Values, _ []byte) (any, error) {
			return o.explainHere(ctx, query)
		},
		"topics":   o.topicsHere,
		"dry-run":  o.dryRunHere,
		"overview": o.overviewHere,

		"organizations": o.organizationsHere,
		"disconnect":    o.disconnectHere,
	}
}

// Answer answers a request of another node. The answer is JSON.
func (o *Operator) Answer(ctx context.Context, message []byte) []byte {
	var q nodeQuery
	var r reply
	err := json.Unmarshal(message, &q)
	if err == nil {
		r.Answer, err = o.answerHere(ctx, &q)
	}
	if err != nil {
		r = reply{Error: err.Error()}
	}
	text, _ := json.Marshal(r) // a reply can always be encoded
	return text
}

// answerHere answers a request for this node.
func (o *Operator) answerHere(ctx context.Context, q *nodeQuery) (json.RawMessage, error) {
	work, ok := o.operations()[q.Operation]
	if q.Operation == "action" {
		work, ok = func(ctx context.Context, query url.Values, _ []byte) (any, error) { return o.act(ctx, q, query) }, true
	}
	if !ok {
		return nil, errors.New("the node does not know the request; is it of another version?")
	}
	query, err := url.ParseQuery(q.Query)
	if err != nil {
		return nil, err
	}
	answer, err := work(ctx, query, q.Body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// NodeProblem is a node that did not answer, and why.
type NodeProblem struct {
	Node   string `json:"node"`
	Detail string `json:"detail"`
}

// Reached lists the nodes that answered a request and those that did not.
type Reached struct {
	Answered   []string      `json:"answered"`
	Unanswered []NodeProblem `json:"unanswered"`
}

// queryNodes queries all nodes and calls each with the name of a node and its answer, this node first.
func queryNodes[T any](
	ctx context.Context, o *Operator, name string, query url.Values, body []byte, each func(node string, answer T),
) (Reached, error) {
	reached := Reached{Answered: []string{}, Unanswered: []NodeProblem{}}
	q := nodeQuery{Operation: name, Query: query.Encode(), Body: body}
	text, err := json.Marshal(q)
	if err != nil {
		return reached, err
	}
	others := make(chan Replies, 1)
	go func() { others <- o.others.Query(ctx, text) }()
	own, err := o.answerHere(ctx, &q)
	replies := <-others
	if err != nil {
		return reached, err
	}
	take := func(node string, text json.RawMessage) {
		var answer T
		if err := json.Unmarshal(text, &answer); err != nil {
			reached.Unanswered = append(reached.Unanswered, NodeProblem{node, "answered something else"})
			return
		}
		reached.Answered = append(reached.Answered, node)
		each(node, answer)
	}
	take(o.node, own)
	names := make([]string, 0, len(replies.Answers))
	for node := range replies.Answers {
		names = append(names, node)
	}
	slices.Sort(names)
	for _, node := range names {
		var r reply
		switch err := json.Unmarshal(replies.Answers[node], &r); {
		case err != nil:
			reached.Unanswered = append(reached.Unanswered, NodeProblem{node, "answered something else"})
		case r.Error != "":
			reached.Unanswered = append(reached.Unanswered, NodeProblem{node, r.Error})
		default:
			take(node, r.Answer)
		}
	}
	for _, node := range replies.Silent {
		reached.Unanswered = append(reached.Unanswered, NodeProblem{node, "did not answer in time"})
	}
	return reached, nil
}
