package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/tap"
)

// tapKeys are the parameters of /api/tap. event may be there several times.
var tapKeys = []string{"organization", "entity", "connection", "user", "nodes", "sample", "data"}

// The values of the parameter data.
const (
	dataMasked = "masked" // without personal values
	dataNone   = "none"
	dataFull   = "full"
)

const (
	// maxTapTypes bounds the types in a filter.
	maxTapTypes = 100
	// sessionsInterval is the time after which a tap of a user looks for new connections.
	sessionsInterval = time.Second
)

// tapFilter selects the events that a tap shows.
type tapFilter struct {
	tap.Filter

	names            []string // of the types
	connection, user string
	userID           events.ID
	data             string
	everywhere       bool // on all nodes
}

// parseTap reads the parameters of a tap.
func (o *Operator) parseTap(query url.Values) (f tapFilter, err error) {
	types := query["event"]
	others := url.Values{}
	for key, values := range query {
		if key != "event" {
			others[key] = values
		}
	}
	if err = onlyKeys(others, tapKeys...); err != nil {
		return f, err
	}
	if f.Organization, _, err = idParam(query, "organization"); err != nil {
		return f, err
	}
	if f.Entity, _, err = idParam(query, "entity"); err != nil {
		return f, err
	}
	if f.userID, _, err = idParam(query, "user"); err != nil {
		return f, err
	}
	f.connection, f.user = query.Get("connection"), query.Get("user")
	if f.connection != "" && f.user != "" || len(f.connection) > maxAudited {
		return f, BadRequest("connection: is the id of one connection, and does not go with user")
	}
	if err = f.parseTypes(o.catalog, types); err != nil {
		return f, err
	}
	if text := query.Get("sample"); query.Has("sample") {
		if f.Sample, err = strconv.ParseFloat(text, 64); err != nil || !(f.Sample > 0 && f.Sample <= 1) {
			return f, BadRequest("sample: must be a number above 0 and up to 1")
		}
	}
	switch f.data = query.Get("data"); {
	case !query.Has("data"):
		f.data = dataMasked
	case !slices.Contains([]string{dataMasked, dataNone, dataFull}, f.data):
		return f, BadRequest("data: must be masked, none or full")
	}
	f.WithoutData = f.data == dataNone
	switch nodes := query.Get("nodes"); {
	case !query.Has("nodes"), nodes == string(allNodes):
		f.everywhere = true
	case nodes != "self" && nodes != string(thisNode):
		return f, BadRequest("nodes: must be all or self")
	}
	return f, nil
}

// parseTypes reads the names of events.
func (f *tapFilter) parseTypes(catalog *events.Catalog, lists []string) error {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			t, ok := catalog.Lookup(strings.TrimSpace(name))
			if !ok || len(f.Types) >= maxTapTypes {
				return BadRequest("event: must be names in the catalog, separated by commas")
			}
			f.Types = append(f.Types, t)
			f.names = append(f.names, catalog.Definition(t).Name)
		}
	}
	return nil
}

// describe returns the filter as the stream shows it.
func (f *tapFilter) describe() TapFilter {
	d := TapFilter{
		Events: f.names, Connection: f.connection, User: f.user, Sample: 1, Data: f.data, Nodes: string(thisNode),
	}
	if f.Organization != (events.ID{}) {
		d.Organization = f.Organization.String()
	}
	if f.Entity != (events.ID{}) {
		d.Entity = f.Entity.String()
	}
	if f.Sample > 0 {
		d.Sample = f.Sample
	}
	if f.everywhere {
		d.Nodes = string(allNodes)
	}
	return d
}

// watchedSessions are the sessions of this node that a tap watches.
type watchedSessions struct {
	hub     *hub.Hub
	match   func(*hub.Session) bool
	looked  time.Time
	current atomic.Pointer[[]*hub.Session]
}

// watchSessions returns the sessions that the filter names, and lets the filter look at their subscriptions. It
// returns nil if the filter names none.
func (o *Operator) watchSessions(f *tapFilter) *watchedSessions {
	w := &watchedSessions{hub: o.hub}
	switch {
	case f.connection != "":
		w.match = func(s *hub.Session) bool { return s.ID() == f.connection }
	case f.user != "":
		w.match = func(s *hub.Session) bool { return s.Claims().User == f.userID }
	default:
		return nil
	}
	w.look(time.Now())
	f.Subscribed = w.subscribed
	return w
}

// look finds the sessions again if it last did so long ago. It looks at all sessions of the node.
func (w *watchedSessions) look(now time.Time) {
	if w == nil || now.Sub(w.looked) < sessionsInterval {
		return
	}
	w.looked = now
	var found []*hub.Session
	for s := range w.hub.Sessions().All() {
		if w.match(s) {
			found = append(found, s)
		}
	}
	w.current.Store(&found)
}

// subscribed reports whether one of the sessions may have a subscription to a topic.
func (w *watchedSessions) subscribed(topic events.Topic) bool {
	for _, s := range *w.current.Load() {
		if s.MaySubscribe(topic) {
			return true
		}
	}
	return false
}
