package authz_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

func FuzzParsePolicy(f *testing.F) {
	f.Add(authz.DefaultPolicy)
	f.Add([]byte(`{rules: [{roles: [agent], relation: own, events: ["*"], except: ["User*"]}]}`))
	f.Add([]byte(`a: &a [*a]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		policy, err := authz.ParsePolicy(data, events.Builtin())
		if (policy == nil) == (err == nil) {
			t.Fatal(policy, err)
		}
	})
}
