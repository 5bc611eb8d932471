package watch

import (
	"context"
	"maps"
	"os"
	"time"
)

// retryChecks is the number of checks between two calls of Changed that fail.
const retryChecks = 10

// Files watches several files that are read together, such as a certificate and its key.
type Files struct {
	// Paths returns the files to watch. Run calls it at each check.
	Paths func() []string
	// Changed reads the files. Run calls it at its first check and after each change, and again now and then if it fails:
	// the cause may go away without a change.
	Changed func() error
}

// Run checks the files until ctx ends. It returns nil. It calls Changed once all files were the same at two checks:
// half of a file that is being written may be valid.
func (f Files) Run(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var read, previous map[string]stamp
	for failed := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		found := f.stat()
		stable := maps.EqualFunc(found, previous, stamp.equal)
		previous = found
		if !stable {
			continue
		}
		if maps.EqualFunc(found, read, stamp.equal) && (failed == 0 || failed%retryChecks != 0) {
			if failed > 0 {
				failed++
			}
			continue
		}
		read, failed = found, 0
		if f.Changed() != nil {
			failed = 1
		}
	}
}

// stat returns the version of each file; the zero one for a file that is not there.
func (f Files) stat() map[string]stamp {
	found := map[string]stamp{}
	for _, path := range f.Paths() {
		found[path] = stamp{}
		if info, err := os.Stat(path); err == nil {
			found[path] = stamp{info: info, modified: info.ModTime(), size: info.Size()}
		}
	}
	return found
}
