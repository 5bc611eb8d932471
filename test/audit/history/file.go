package history

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
)

// Keep writes a history into a file, for Read.
func Keep(h *History, path string) (err error) {
	file, err := os.Create(path) //nolint:gosec // the caller is a test
	if err != nil {
		return fmt.Errorf("keep the history: %w", err)
	}
	defer func() {
		if failure := file.Close(); err == nil {
			err = failure
		}
	}()
	packed := gzip.NewWriter(file)
	if err := json.NewEncoder(packed).Encode(h); err != nil {
		return fmt.Errorf("keep the history: %w", err)
	}
	return packed.Close()
}

// Read reads the file of Keep.
func Read(path string) (*History, error) {
	file, err := os.Open(path) //nolint:gosec // the caller is a test
	if err != nil {
		return nil, fmt.Errorf("read a history: %w", err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("read a history: %w", err)
	}
	h := &History{}
	if err := json.NewDecoder(packed).Decode(h); err != nil {
		return nil, fmt.Errorf("read a history: %w", err)
	}
	return h, nil
}
