//go:build unix

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A reload waited for a pipe without end, and all later reloads waited for it.
func TestReadBounded_endsWithAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := readBounded(pipe, 100); len(data) > 0 || err != nil {
		t.Errorf("without a writer: %q, %v", data, err)
	}
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	began := time.Now()
	if _, err := readBounded(pipe, 100); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with a silent writer after %s: %v", time.Since(began), err)
	}
}

func TestReadBounded_refusesLongFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 101), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readBounded(path, 100); err == nil || !strings.Contains(err.Error(), "larger than 100 bytes") {
		t.Errorf("got %v", err)
	}
	if data, err := readBounded(path, 101); len(data) != 101 || err != nil {
		t.Errorf("got %d bytes, %v", len(data), err)
	}
}
