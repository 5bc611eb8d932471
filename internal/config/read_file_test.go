//go:build linux

package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rte-server/rte-server/internal/config"
)

// A reload waited for a pipe without end, and all later reloads waited for it.
func TestReadFile_endsWithAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadFile(pipe, 100); err == nil || !strings.Contains(err.Error(), "empty pipe") {
		t.Errorf("without a writer: %v", err) // an empty file would mean: all keys have their defaults
	}
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	began := time.Now()
	if _, err := config.ReadFile(pipe, 100); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with a silent writer after %s: %v", time.Since(began), err)
	}
}

// A shell passes the output of a command as a pipe with an end: <(make-configuration).
func TestReadFile_readsAPipeWithAnEnd(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := writer.WriteString("text"); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := config.ReadFile(fmt.Sprintf("/proc/self/fd/%d", reader.Fd()), 100)
	if string(data) != "text" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestReadFile_refusesLongFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 101), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadFile(path, 100); err == nil || !strings.Contains(err.Error(), "larger than 100 bytes") {
		t.Errorf("got %v", err)
	}
	if data, err := config.ReadFile(path, 101); len(data) != 101 || err != nil {
		t.Errorf("got %d bytes, %v", len(data), err)
	}
}
