package watch_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// TestFiles_readsFilesTogether checks when files that belong together are read.
func TestFiles_readsFilesTogether(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "certificate"), filepath.Join(dir, "key")
	rtetest.MustReplaceFile(t, certificate, []byte("1"))
	rtetest.MustReplaceFile(t, key, []byte("1"))
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		var wrong atomic.Bool
		files := watch.Files{
			Paths: func() []string { return []string{certificate, key} },
			Changed: func() error {
				calls.Add(1)
				if wrong.Load() {
					return errors.New("a mistake")
				}
				return nil
			},
		}
		defer rtetest.Start(t, files.Run)()
		time.Sleep(offset)
		expect := func(step string, want int64) {
			t.Helper()
			synctest.Wait()
			if n := calls.Swap(0); n != want {
				t.Errorf("%s: read %d times, want %d", step, n, want)
			}
		}
		time.Sleep(5 * time.Second)
		expect("at the start", 1)
		rtetest.MustReplaceFile(t, certificate, []byte("22"))
		time.Sleep(time.Second)
		rtetest.MustReplaceFile(t, key, []byte("22"))
		time.Sleep(time.Second)
		expect("while they are written", 0)
		time.Sleep(5 * time.Second)
		expect("both", 1)
		wrong.Store(true)
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		expect("one is missing", 1)
		time.Sleep(10 * time.Second)
		expect("again", 1)
		wrong.Store(false)
		time.Sleep(30 * time.Second)
		expect("the cause has gone", 1)
	})
}
