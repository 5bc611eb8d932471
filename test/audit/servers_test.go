//go:build faults

package audit

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rte-server/rte-server/internal/rtetest"
	"github.com/rte-server/rte-server/test/audit/history"
)

// The faults of "make test" with other servers that speak the protocol of Redis: RTE_AUDIT_SERVERS has the paths of
// their programs, separated by colons. RTE_CHAOS_DOC names a page that gets a table with a row for each of them.
func TestAudit_otherServers(t *testing.T) {
	programs := filepath.SplitList(os.Getenv("RTE_AUDIT_SERVERS"))
	if len(programs) == 0 {
		t.Fatal("RTE_AUDIT_SERVERS names no programs: make servers")
	}
	var all history.Report
	for _, program := range programs {
		t.Run(filepath.Base(filepath.Dir(program)), func(t *testing.T) {
			t.Setenv("RTE_REDIS_SERVER", program)
			report := newDeployment(t, (*deployment).prepareRedis).audit(slices.DeleteFunc(faults(), fault.skips))
			all.Rows = append(all.Rows, *report.Sum(rtetest.RedisName(t)))
		})
	}
	if page := os.Getenv("RTE_CHAOS_DOC"); page != "" && !t.Failed() {
		rtetest.MustReplaceBlock(t, filepath.Join("..", "..", page), "servers", all.Table("server"))
	}
}
