package node

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rte-server/rte-server/internal/console"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/fanout"
)

// topOrganizations bounds the organizations of /metrics/organizations: so many by each figure.
const topOrganizations = 20

// organizationUse is what one organization uses of this node.
type organizationUse struct {
	fanout.Traffic

	connections, subscriptions int
}

// organizationCollector collects the metrics of the organizations that use this node most, for a path of its own:
// their labels change, which Prometheus should not keep for every deployment.
type organizationCollector struct {
	use   func() map[events.ID]*organizationUse
	descs [len(organizationFigures)]*prometheus.Desc
	known *prometheus.Desc
}

// organizationFigures are the metrics of an organization.
var organizationFigures = [...]struct {
	name, help string
	kind       prometheus.ValueType
	of         func(*organizationUse) float64
}{
	{
		"rte_organization_connections", "Open sessions of an organization.", prometheus.GaugeValue,
		func(u *organizationUse) float64 { return float64(u.connections) },
	},
	{
		"rte_organization_subscriptions", "Subscriptions of an organization.", prometheus.GaugeValue,
		func(u *organizationUse) float64 { return float64(u.subscriptions) },
	},
	{
		"rte_organization_events_total", "Events of an organization that had a subscriber.", prometheus.CounterValue,
		func(u *organizationUse) float64 { return float64(u.Events) },
	},
	{
		"rte_organization_deliveries_total", "Event frames of an organization given to sockets.", prometheus.CounterValue,
		func(u *organizationUse) float64 { return float64(u.Deliveries) },
	},
	{
		"rte_organization_written_bytes_total", "Bytes of an organization that sockets took at the first attempt.",
		prometheus.CounterValue, func(u *organizationUse) float64 { return float64(u.Bytes) },
	},
}

// newOrganizationMetrics returns the source of /metrics/organizations.
func newOrganizationMetrics(use func() map[events.ID]*organizationUse) prometheus.Gatherer {
	c := &organizationCollector{use: use, known: prometheus.NewDesc(
		"rte_organizations", "Organizations with a session or a subscription on this node.", nil, nil)}
	for i, figure := range organizationFigures {
		c.descs[i] = prometheus.NewDesc(figure.name, figure.help, []string{"organization"}, nil)
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	return reg
}

// Describe implements prometheus.Collector.
func (c *organizationCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.known
	for _, desc := range c.descs {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *organizationCollector) Collect(metrics chan<- prometheus.Metric) {
	all := c.use()
	metrics <- prometheus.MustNewConstMetric(c.known, prometheus.GaugeValue, float64(len(all)))
	for id := range mostOf(all) {
		for i, figure := range organizationFigures {
			metrics <- prometheus.MustNewConstMetric(c.descs[i], figure.kind, figure.of(all[id]), id.String())
		}
	}
}

// mostOf returns the organizations that are among the first by one of the figures.
func mostOf(all map[events.ID]*organizationUse) map[events.ID]bool {
	ids := make([]events.ID, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	most := map[events.ID]bool{}
	for _, figure := range organizationFigures {
		slices.SortFunc(ids, func(a, b events.ID) int {
			return cmp.Or(cmp.Compare(figure.of(all[b]), figure.of(all[a])), slices.Compare(a[:], b[:]))
		})
		for _, id := range ids[:min(len(ids), topOrganizations)] {
			most[id] = true
		}
	}
	return most
}

// organizationUses returns the use of this node by each organization, for operators.
func (n *Node) organizationUses() []console.OrganizationUse {
	all := n.organizations()
	uses := make([]console.OrganizationUse, 0, len(all))
	for id, u := range all {
		uses = append(uses, console.OrganizationUse{
			ID: id, Connections: u.connections, Subscriptions: u.subscriptions,
			Events: u.Events, Deliveries: u.Deliveries, Bytes: u.Bytes,
		})
	}
	return uses
}

// organizations returns what each organization uses of this node. It walks through all sessions.
func (n *Node) organizations() map[events.ID]*organizationUse {
	all := map[events.ID]*organizationUse{}
	of := func(id events.ID) *organizationUse {
		u := all[id]
		if u == nil {
			u = &organizationUse{}
			all[id] = u
		}
		return u
	}
	for _, traffic := range n.dispatcher.Traffic() {
		of(traffic.Organization).Traffic = traffic
	}
	for s := range n.hub.Sessions().All() {
		u := of(s.Claims().Organization)
		u.connections++
		u.subscriptions += s.Info().Subscriptions
	}
	return all
}
