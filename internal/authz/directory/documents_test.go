package directory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// store is a DocumentReader in a map.
type store map[events.ID]string

func (s store) Documents(_ context.Context, ids []events.ID, documents [][]byte) error {
	if s == nil {
		return errors.New("away")
	}
	for i, id := range ids {
		if text, ok := s[id]; ok {
			documents[i] = []byte(text)
		}
	}
	return nil
}

func TestDocumentSource(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	registry := prometheus.NewPedanticRegistry()
	d := mustCached(t, directory.CachedOptions{Source: directory.NewDocumentSource(store{
		queue: fmt.Sprintf(`{"kind":"Queue","organization":%q,"members":[%q]}`, home, me),
		// The id and the name are not used, so they must not spoil the document.
		me:       fmt.Sprintf(`{"id":7,"kind":"User","organization":%q,"name":{"first":"Anna"},"email":"ignored"}`, home),
		callList: `{"kind":"CallList"}`,
		ownQueue: ``,
	}, zap.New(core), registry)})
	want := []directory.Entity{
		{State: directory.StateKnown, Kind: events.KindQueue, Organization: home, Member: true},
		{State: directory.StateKnown, Kind: events.KindUser, Organization: home},
		{},
		{},
		{},
	}
	if diff := cmp.Diff(want, lookup(t, d, agentOfHome, queue, me, callList, ownQueue, unknownEntity)); diff != "" {
		t.Error(diff)
	}
	if logs.Len() != 1 || logs.All()[0].ContextMap()["records"] != int64(2) {
		t.Errorf("the log is %v", logs.All())
	}
	if n := rtetest.MustReadMetric(t, registry, "rte_authz_directory_malformed_total"); n != 2 {
		t.Errorf("%v are counted", n)
	}
	gone := mustCached(t, directory.CachedOptions{Source: directory.NewDocumentSource(store(nil), nil, nil)})
	if got := lookup(t, gone, agentOfHome, queue); got[0] != away {
		t.Errorf("got %+v", got)
	}
}

func TestParseChange(t *testing.T) {
	for text, want := range map[string]*directory.Change{
		`{"all":true}`: {All: true},
		fmt.Sprintf(`{"entities":[%q,%q]}`, queue, me): {Entities: []events.ID{queue, me}},
		`{}`:                                    nil,
		`{"all":false}`:                         nil,
		`{"entities":[]}`:                       nil,
		`{"entities":["sales"]}`:                nil,
		`{"entities":"` + queue.String() + `"}`: nil,
		`all`:                                   nil,
		`{"entities":[` + strings.Repeat(fmt.Sprintf("%q,", queue), 10_000) + fmt.Sprintf("%q]}", me): nil,
	} {
		change, err := directory.ParseChange([]byte(text))
		if (err == nil) != (want != nil) || want != nil && !cmp.Equal(*want, change) {
			t.Errorf("%.60s: %+v, %v", text, change, err)
		}
	}
}
