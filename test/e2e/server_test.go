package e2e

import (
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rte-server/rte-server/internal/rtetest"
)

// programs is the binary that the tests start; TestMain removes it.
var programs rtetest.Programs

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		programs.Remove()
		os.Exit(code)
	}))
}

// startServer starts a node and waits until it is ready.
func startServer(t *testing.T, s rtetest.Settings) *rtetest.Server {
	t.Helper()
	return rtetest.MustStartServer(t, programs.MustBuild(t, "node"), s)
}

// httpClient keeps no connections, and so no goroutines.
var httpClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: rtetest.Patience}
