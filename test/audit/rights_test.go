package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/test/audit/history"
)

// An entity was taken out of the directory twice within two windows of a soak. The second time changed the right that
// had ended the first time, too, so the end of its subscription seemed to have no reason.
func TestRecorder_keepsRightsThatHaveEnded(t *testing.T) {
	r := newRecorder(limits)
	topic := history.Topic{Organization: "o", Entity: "e", Type: "UserStatus"}
	r.add(history.Client{Name: "c", Rights: []history.Right{{Topic: topic}}})
	withdraw := func() []history.Right {
		r.ending("", topic)
		r.ended("", topic)
		r.grant(topic)
		return r.history(r.now()).Clients[0].Rights
	}
	first := withdraw()
	second := withdraw()
	if diff := cmp.Diff(first[0], second[0]); diff != "" {
		t.Errorf("the right that had ended before changed:\n%s", diff)
	}
	if len(second) != 3 || second[1].Gone == 0 || second[1].Gone == requested || second[2].Gone != 0 {
		t.Errorf("rights after two withdrawals: %+v", second)
	}
}
