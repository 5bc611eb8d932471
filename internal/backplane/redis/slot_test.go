package redis

import "testing"

func TestSlot_matchesRedis(t *testing.T) {
	// From the specification of Redis Cluster, and from a redis-server (CLUSTER KEYSLOT).
	for key, want := range map[string]int{
		"123456789": 12739, "foo": 12182, "{foo}bar": 12182, "foo{}{bar}": 8363, "rte:j:{rte:org:1}": slot("rte:org:1"),
		"{": slot("{"), "": 0,
	} {
		if got := slot(key); got != want {
			t.Errorf("slot of %q is %d, want %d", key, got, want)
		}
	}
}
