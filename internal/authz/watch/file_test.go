package watch_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// offset separates the steps of a test from the checks of the file, at full seconds.
const offset = 500 * time.Millisecond

// owner loads every version of a file, except those that begin with "bad".
type owner struct{ loaded []string }

func (o *owner) load(data []byte) error {
	if strings.HasPrefix(string(data), "bad") {
		return errors.New("a mistake")
	}
	o.loaded = append(o.loaded, string(data))
	return nil
}

func TestFile_loadsChangedVersions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	rtetest.MustReplaceFile(t, path, []byte("one"))
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		registry, o := prometheus.NewPedanticRegistry(), &owner{}
		file, err := watch.New(watch.Options{
			Path: path, Limit: 10, Load: o.load, Name: "test", Logger: zap.New(core), Registerer: registry,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer rtetest.Start(t, file.Run)()
		time.Sleep(offset)
		for _, step := range []struct {
			text           string // empty: the file is removed
			loaded         []string
			warned, failed int
		}{
			{"two", []string{"one", "two"}, 0, 0},
			{"bad", []string{"one", "two"}, 0, 1},
			{"longer than ten", []string{"one", "two"}, 0, 2},
			{"", []string{"one", "two"}, 1, 2},
			{"three", []string{"one", "two", "three"}, 1, 2},
		} {
			if step.text == "" {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else {
				rtetest.MustReplaceFile(t, path, []byte(step.text))
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if diff := cmp.Diff(step.loaded, o.loaded); diff != "" {
				t.Errorf("%q: %s", step.text, diff)
			}
			warned, failed := logs.FilterLevelExact(zap.WarnLevel).Len(), logs.FilterLevelExact(zap.ErrorLevel).Len()
			if warned != step.warned || failed != step.failed {
				t.Errorf("%q: %d warnings and %d errors, want %d and %d", step.text, warned, failed, step.warned, step.failed)
			}
		}
		for name, want := range map[string]float64{
			"rte_authz_test_reloads_total/ok": 2, "rte_authz_test_reloads_total/refused": 2,
		} {
			if n := rtetest.MustReadMetric(t, registry, name); n != want {
				t.Errorf("%s is %v, want %v", name, n, want)
			}
		}
	})
}

// An editor that writes a file in place leaves parts of it for a moment.
func TestFile_waitsForTheEndOfWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	rtetest.MustReplaceFile(t, path, []byte("0"))
	synctest.Test(t, func(t *testing.T) {
		o := &owner{}
		file, err := watch.New(watch.Options{Path: path, Limit: 100, Load: o.load, Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer rtetest.Start(t, file.Run)()
		time.Sleep(offset)
		for n := range 5 {
			rtetest.MustReplaceFile(t, path, []byte(strings.Repeat("x", n+2)))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"0", "xxxxxx"}, o.loaded); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNew_refusesTheFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for name, text := range map[string]string{"absent": "", "refused": "bad", "too long": "longer than ten"} {
		if text != "" {
			rtetest.MustReplaceFile(t, path, []byte(text))
		}
		_, err := watch.New(watch.Options{Path: path, Limit: 10, Load: (&owner{}).load, Name: "test"})
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		_ = os.Remove(path)
	}
}
