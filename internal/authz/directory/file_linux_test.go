package directory_test

import (
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/directory"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// A version that is unreadable for a while, here because the process has no descriptors left, was never in force.
func TestFile_retriesUnreadableVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory.yaml")
	rtetest.MustReplaceFile(t, path, []byte("entities:\n"+entity("Queue", queue, home)))
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		d, err := directory.NewFile(directory.FileOptions{Path: path, Logger: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		defer rtetest.Start(t, d.Run)()
		caller := directory.Caller{User: me, Organization: home}
		rtetest.MustReplaceFile(t, path, []byte("entities:\n"+entity("Queue", queue, home, me)))

		var limit syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		none := syscall.Rlimit{Max: limit.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		if refused := logs.FilterLevelExact(zap.ErrorLevel).Len(); refused != 1 {
			t.Errorf("%d errors in the log for one version", refused)
		}
		time.Sleep(3 * time.Second)
		if !lookup(t, d, caller, queue)[0].Member {
			t.Error("the change is not in force")
		}
	})
}
