package main

import (
	"fmt"
	"net/http"
	"testing"
)

// TestServe_sendsSnapshotsByMode checks which clients get last states with each snapshots.mode.
func TestServe_sendsSnapshotsByMode(t *testing.T) {
	for mode, gets := range map[string]struct{ stock, requesting bool }{
		"off":    {},
		"opt-in": {requesting: true},
		"always": {stock: true, requesting: true},
	} {
		t.Run(mode, func(t *testing.T) {
			p := start(t, serveArgs("--snapshots.mode="+mode)...)
			token := mustServiceToken(t, testOrganization)
			publish := func(id int) {
				t.Helper()
				if status, answer := p.post("/api/publish", eventLine(id)); status != http.StatusOK {
					t.Fatalf("published: %d %s", status, answer)
				}
			}
			publish(1)
			clients := map[*client]bool{
				p.connect(token, ""): gets.stock, p.connect(token, "?features=snapshot"): gets.requesting,
			}
			for c := range clients {
				c.subscribe(testUser, "UserStatus")
			}
			publish(2)
			for c, snapshot := range clients {
				for id := 1; id <= 2; id++ {
					if id == 2 || snapshot {
						c.expect(fmt.Sprintf(`"id":"0d000000-0000-4000-8000-%012d"`, id))
					}
				}
			}
		})
	}
}
