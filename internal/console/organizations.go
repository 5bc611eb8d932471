package console

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rte-server/rte-server/internal/events"
)

// OrganizationUse is an organization's use of a node, or of all nodes. The totals of a node count since the
// organization had subscriptions there without a break.
type OrganizationUse struct {
	Organization  string `json:"organization"`
	Connections   int    `json:"connections"`
	Subscriptions int    `json:"subscriptions"`
	Events        int64  `json:"events"` // with a subscriber; of several nodes, by the one with the most
	Deliveries    int64  `json:"deliveries"`
	Bytes         int64  `json:"bytes"` // taken by sockets at the first attempt

	// The rates are means over OrganizationList.RateSeconds.
	EventsPerSecond     float64 `json:"eventsPerSecond"` // of several nodes, by the one with the most
	DeliveriesPerSecond float64 `json:"deliveriesPerSecond"`
	BytesPerSecond      float64 `json:"bytesPerSecond"`

	ID events.ID `json:"-"`
}

// OrganizationList is the answer of /api/organizations.
type OrganizationList struct {
	Known         int               `json:"known"` // organizations; of several nodes, by the one with the most
	Organizations []OrganizationUse `json:"organizations"`
	// RateSeconds is the time of the rates: since the previous list. 0: there was no list in the last minute, and all
	// rates are 0.
	RateSeconds float64 `json:"rateSeconds"`
	// Nodes lists the nodes that answered, if the query has nodes=all.
	Nodes *Reached `json:"nodes,omitempty"`
}

// organizationOrders are the values of the parameter order, and the figures that each compares: rates first, then
// totals.
var organizationOrders = map[string]func(a, b *OrganizationUse) int{
	"events": func(a, b *OrganizationUse) int {
		return cmp.Or(cmp.Compare(b.EventsPerSecond, a.EventsPerSecond), cmp.Compare(b.Events, a.Events))
	},
	"deliveries": func(a, b *OrganizationUse) int {
		return cmp.Or(cmp.Compare(b.DeliveriesPerSecond, a.DeliveriesPerSecond), cmp.Compare(b.Deliveries, a.Deliveries))
	},
	"bytes": func(a, b *OrganizationUse) int {
		return cmp.Or(cmp.Compare(b.BytesPerSecond, a.BytesPerSecond), cmp.Compare(b.Bytes, a.Bytes))
	},
	"connections":   func(a, b *OrganizationUse) int { return cmp.Compare(b.Connections, a.Connections) },
	"subscriptions": func(a, b *OrganizationUse) int { return cmp.Compare(b.Subscriptions, a.Subscriptions) },
}

// mergedListed is how many entries a node passes on for each entry of the merged list. So the list finds an
// organization that leads on no single node.
const mergedListed = 4

// organizations lists the organizations that use most of this node, or of all nodes.
func (o *Operator) organizations(ctx context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "organization", "order", "limit", "nodes"); err != nil {
		return nil, err
	}
	all, err := ofAllNodes(query)
	if err != nil {
		return nil, err
	}
	if !all {
		return o.organizationsHere(ctx, query, nil)
	}
	limit, err := countParam(query, "limit", defaultListed, maxListed)
	if err != nil {
		return nil, err
	}
	remote := url.Values{"limit": {"10000"}}
	if limit < maxListed/mergedListed {
		remote = url.Values{"limit": {strconv.Itoa(limit * mergedListed)}}
	}
	for _, key := range []string{"organization", "order"} {
		if query.Has(key) {
			remote.Set(key, query.Get(key))
		}
	}
	sums, list := map[string]*OrganizationUse{}, OrganizationList{Organizations: []OrganizationUse{}}
	reached, err := queryNodes(ctx, o, "organizations", remote, nil, func(_ string, answer OrganizationList) {
		list.Known, list.RateSeconds = max(list.Known, answer.Known), max(list.RateSeconds, answer.RateSeconds)
		for i := range answer.Organizations {
			u := &answer.Organizations[i]
			if sum := sums[u.Organization]; sum != nil {
				sum.add(u)
			} else {
				sums[u.Organization] = u
			}
		}
	})
	if err != nil {
		return nil, err
	}
	for _, sum := range sums {
		list.Organizations = append(list.Organizations, *sum)
	}
	list.cut(query.Get("order"), limit)
	list.Nodes = &reached
	return list, nil
}

// add adds the use of another node.
func (u *OrganizationUse) add(other *OrganizationUse) {
	u.Connections += other.Connections
	u.Subscriptions += other.Subscriptions
	u.Events = max(u.Events, other.Events)
	u.Deliveries += other.Deliveries
	u.Bytes += other.Bytes
	u.EventsPerSecond = max(u.EventsPerSecond, other.EventsPerSecond)
	u.DeliveriesPerSecond += other.DeliveriesPerSecond
	u.BytesPerSecond += other.BytesPerSecond
}

// cut sorts the list and keeps the first of it.
func (l *OrganizationList) cut(order string, limit int) {
	compare := organizationOrders[cmp.Or(order, "events")]
	slices.SortFunc(l.Organizations, func(a, b OrganizationUse) int {
		return cmp.Or(compare(&a, &b), cmp.Compare(a.Organization, b.Organization))
	})
	l.Organizations = l.Organizations[:min(limit, len(l.Organizations))]
}

// organizationsHere lists the organizations that use most of this node. It walks through all sessions.
func (o *Operator) organizationsHere(_ context.Context, query url.Values, _ []byte) (any, error) {
	id, byID, err := idParam(query, "organization")
	if err != nil {
		return nil, err
	}
	limit, err := countParam(query, "limit", defaultListed, maxListed)
	if err != nil {
		return nil, err
	}
	if order := query.Get("order"); query.Has("order") && organizationOrders[order] == nil {
		return nil, BadRequest("order: must be events, deliveries, bytes, connections or subscriptions")
	}
	uses, seconds := o.uses.look()
	list := OrganizationList{Known: len(uses), Organizations: []OrganizationUse{}, RateSeconds: seconds}
	for i := range uses {
		if !byID || uses[i].ID == id {
			uses[i].Organization = uses[i].ID.String()
			list.Organizations = append(list.Organizations, uses[i])
		}
	}
	list.cut(query.Get("order"), limit)
	return list, nil
}

const (
	// usesInterval is the least time between the two states of a rate, usesForgotten the greatest.
	usesInterval  = time.Second
	usesForgotten = time.Minute
)

// organizationUses computes rates from the counts of the node, on request. Any goroutine may use it. It keeps two
// states, of the organizations with subscriptions on this node.
type organizationUses struct {
	count func() []OrganizationUse

	mu             sync.Mutex
	before, latest usesAt // guarded by mu
}

// usesAt is the use of the organizations up to a moment.
type usesAt struct {
	at   time.Time
	uses map[events.ID]OrganizationUse
}

// look returns the use of the organizations, with the rates over the seconds since the previous state.
func (u *organizationUses) look() (uses []OrganizationUse, seconds float64) {
	now := time.Now()
	uses = u.count()
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.latest.at) >= usesInterval {
		u.before = u.latest
		u.latest = usesAt{now, make(map[events.ID]OrganizationUse, len(uses))}
		for i := range uses {
			u.latest.uses[uses[i].ID] = uses[i]
		}
	}
	if now.Sub(u.before.at) > usesForgotten {
		return uses, 0
	}
	seconds = now.Sub(u.before.at).Seconds()
	for i := range uses {
		earlier := u.before.uses[uses[i].ID] // zero: a new organization
		uses[i].EventsPerSecond = perSecond(uses[i].Events, earlier.Events, seconds)
		uses[i].DeliveriesPerSecond = perSecond(uses[i].Deliveries, earlier.Deliveries, seconds)
		uses[i].BytesPerSecond = perSecond(uses[i].Bytes, earlier.Bytes, seconds)
	}
	return uses, seconds
}

// perSecond returns a rate. A count that fell began again from zero.
func perSecond(now, before int64, seconds float64) float64 {
	if now < before {
		before = 0
	}
	return float64(now-before) / seconds
}
