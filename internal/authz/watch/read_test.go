//go:build linux

package watch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// Opening a pipe without a writer never returned: the file was never read again, and the node did not stop.
func TestFile_refusesAPipeInItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	rtetest.MustReplaceFile(t, path, []byte("one"))
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		o := &owner{}
		file, err := watch.New(watch.Options{
			Path: path, Limit: 10, Load: o.load, Name: "test", Logger: zap.New(core),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer rtetest.Start(t, file.Run)()
		time.Sleep(offset)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		const want = "is not a regular file"
		if all := logs.All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()), want) {
			t.Errorf("logged %v", all)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		rtetest.MustReplaceFile(t, path, []byte("two"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(o.loaded); n != 2 {
			t.Errorf("loaded %v", o.loaded)
		}
	})
}

func TestReadFile_refusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, dir, "/dev/zero"} {
		if _, err := watch.ReadFile(path, 10); err == nil || err.Error() != path+": is not a regular file" {
			t.Errorf("%s: %v", path, err)
		}
	}
	long := filepath.Join(dir, "long")
	rtetest.MustReplaceFile(t, long, []byte("longer than ten"))
	if _, err := watch.ReadFile(long, 10); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a long file: %v", err)
	}
	if data, err := watch.ReadFile(long, 15); string(data) != "longer than ten" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}
