package console

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"
)

// actions are the operations that a node carries out for an operator of another node, by name.
func (o *Operator) actions() map[string]Operation {
	all := map[string]Operation{
		"drain": o.drain, "cancel-drain": o.cancelDrain, "shed": o.shed, "cancel-shed": o.cancelShed,
		"departure": o.departure, "log-level": o.logLevel, "set-log-level": o.setLogLevel,
	}
	if o.reload != nil {
		all["reload"] = o.reloadHere
	}
	return all
}

// onNode makes an operation of the operator API of an action: the node that the parameter node names carries it out;
// without the parameter, this node does.
func (o *Operator) onNode(name string) Operation {
	here := o.actions()[name]
	return func(ctx context.Context, query url.Values) (any, error) {
		node := query["node"]
		query.Del("node")
		switch {
		case len(node) > 1:
			return nil, BadRequest("node: is there twice")
		case len(node) == 0 || node[0] == o.node:
			return here(ctx, query)
		}
		return o.actElsewhere(ctx, node[0], name, query)
	}
}

// actElsewhere makes another node carry out an action. All nodes receive the query, and only the named node acts.
func (o *Operator) actElsewhere(ctx context.Context, node, action string, query url.Values) (any, error) {
	known := false
	for _, peer := range o.drainer.Nodes() {
		known = known || peer.ID == node
	}
	if !known {
		return nil, BadRequest("node: this node knows no such node")
	}
	text, err := json.Marshal(nodeQuery{
		Operation: "action", Query: query.Encode(),
		Action: &nodeAction{Name: action, Node: node, From: o.node, Who: string(roleIn(ctx)), Number: rand.Text()},
	})
	if err != nil {
		return nil, err
	}
	answer, ok := o.others.Query(ctx, text).Answers[node]
	if !ok {
		return nil, fmt.Errorf("node %s did not answer in time; it may act all the same", node)
	}
	var r reply
	switch err := json.Unmarshal(answer, &r); {
	case err != nil:
		return nil, fmt.Errorf("node %s answered something else", node)
	case r.Error != "":
		return nil, BadRequest("node " + node + ": " + r.Error)
	}
	return r.Answer, nil
}

// nodeAction is the action that one node requests from another one.
type nodeAction struct {
	Name   string `json:"name"`
	Node   string `json:"node"` // acting node
	From   string `json:"from"` // node of the operator
	Who    string `json:"who"`  // role of the operator
	Number string `json:"number"`
}

// act carries out an action for an operator of another node. The other nodes answer nothing.
func (o *Operator) act(ctx context.Context, q *nodeQuery, query url.Values) (any, error) {
	a := q.Action
	if a == nil || a.Node != o.node {
		return nil, nil //nolint:nilnil // all other nodes answer the JSON null
	}
	work, ok := o.actions()[a.Name]
	switch {
	case !ok:
		return nil, errors.New("the node does not know the action; is it of another version?")
	case !o.acted.first(a.Number, time.Now()):
		return nil, errors.New("the node has done this already, or does too much")
	}
	o.audit.Info("operator of another node", zap.String("who", a.Who), zap.String("node", a.From),
		zap.String("action", a.Name), zap.String("query", q.Query[:min(len(q.Query), maxAudited)]))
	return work(ctx, query)
}

// reloadHere reads the configuration of this node again.
func (o *Operator) reloadHere(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query); err != nil {
		return nil, err
	}
	return o.reload(ctx)
}

const (
	// numbersKept is how long a node remembers the number of an action. Messages between nodes expire earlier.
	numbersKept = 2 * time.Minute
	// maxNumbers bounds them.
	maxNumbers = 1000
)

// numbers remembers the numbers of actions, so that the node carries out none twice. Its zero value is ready.
type numbers struct {
	mu   sync.Mutex
	seen map[string]time.Time // guarded by mu
}

// first reports whether a number comes for the first time, and the node has room to remember it.
func (n *numbers) first(number string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen == nil {
		n.seen = map[string]time.Time{}
	}
	for known, at := range n.seen {
		if now.Sub(at) > numbersKept {
			delete(n.seen, known)
		}
	}
	if _, again := n.seen[number]; again || len(n.seen) >= maxNumbers {
		return false
	}
	n.seen[number] = now
	return true
}
