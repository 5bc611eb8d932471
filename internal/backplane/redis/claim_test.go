package redis

import "testing"

func TestClaim_addresses(t *testing.T) {
	const queried = "redis.example:7000"
	for name, test := range map[string]struct{ field, want string }{
		"an address":                {"10.0.0.1:6379@16379", "10.0.0.1:6379"},
		"with a name":               {"10.0.0.1:6379@16379,one.example", "10.0.0.1:6379"},
		"of version 6":              {"2001:db8::1:6379@16379", "[2001:db8::1]:6379"},
		"of a server that is alone": {":6379@16379", "redis.example:6379"},
		"none":                      {"6379@16379", ""},
	} {
		t.Run(name, func(t *testing.T) {
			owners := make([]owner, slotCount)
			claim(owners, "id "+test.field+" myself,master - 0 0 1 connected 0-16383\n", queried)
			if got := owners[7].address; got != test.want {
				t.Errorf("the address is %q, want %q", got, test.want)
			}
		})
	}
}
