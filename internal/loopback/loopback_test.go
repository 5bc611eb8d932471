package loopback_test

import (
	"testing"

	"github.com/rte-server/rte-server/internal/loopback"
)

func TestIs_onlyThisMachine(t *testing.T) {
	for address, want := range map[string]bool{
		"localhost": true, "LocalHost:80": true, "127.0.0.1": true, "127.8.8.8:1": true, "[::1]:80": true, "[::1]": true,
		"::1": true,
		"":    false, ":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false,
		"127.0.0.1.evil.example":    false,
		"localhost.evil.example:80": false, "example": false,
	} {
		if got := loopback.Is(address); got != want {
			t.Errorf("Is(%q) = %t", address, got)
		}
	}
}
