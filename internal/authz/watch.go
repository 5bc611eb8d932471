package authz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"
)

// watchInterval is how often a watched file is looked at. A look is one stat; the file is read when it changed.
const watchInterval = time.Second

// watchedFile is a file that is read again when it changes. A version that cannot be read or is refused by load leaves
// the one before in force. It belongs to one goroutine: whoever calls read, then run.
type watchedFile struct {
	path    string
	limit   int64                   // bytes
	load    func(data []byte) error // takes a version of the file into use, or refuses it whole
	logger  *zap.Logger
	metrics *watchMetrics

	tried fileStamp // the version that was read last, good or bad
	shut  fileStamp // the version that could not be read last, and the log says so
	seen  fileStamp // what the look before this one saw
	gone  bool      // the file could not be looked at, and the log says so
}

// fileStamp tells versions of a file apart.
type fileStamp struct {
	info     fs.FileInfo
	modified time.Time
	size     int64
}

func (s fileStamp) equal(other fileStamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return s.size == other.size && s.modified.Equal(other.modified) && os.SameFile(s.info, other.info)
}

// read loads the file for the first time.
func (w *watchedFile) read() error {
	stamp, err := w.stat()
	if err != nil {
		return err
	}
	return w.try(stamp)
}

// run looks at the file until ctx ends.
func (w *watchedFile) run(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.look()
		}
	}
}

// look reads the file if it changed and has been at rest since the look before: half of a file that somebody is
// writing may well be a valid file.
func (w *watchedFile) look() {
	stamp, err := w.stat()
	if err != nil {
		if !w.gone {
			w.gone = true
			w.logger.Warn("watched file is not readable, the last good version stays in force", zap.Error(err))
		}
		return
	}
	w.gone = false
	settled := stamp.equal(w.seen)
	w.seen = stamp
	if !settled || stamp.equal(w.tried) {
		return
	}
	if err := w.try(stamp); err != nil {
		if stamp.equal(w.shut) {
			return // still the same
		}
		if !stamp.equal(w.tried) {
			w.shut = stamp
		}
		w.metrics.failed.Inc()
		w.logger.Error("watched file is refused, the last good version stays in force", zap.Error(err))
		return
	}
	w.metrics.loaded.Inc()
	w.logger.Info("watched file is in force in a new version", zap.String("file", w.path))
}

func (w *watchedFile) stat() (fileStamp, error) {
	info, err := os.Stat(w.path)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{info: info, modified: info.ModTime(), size: info.Size()}, nil
}

// try reads and loads the version of the file that has the stamp. One that cannot be read is tried again: what stands in
// the way, such as missing permissions or descriptors, may go without a new version.
func (w *watchedFile) try(stamp fileStamp) error {
	data, err := w.content()
	if err != nil && !errors.Is(err, errFileTooLarge) {
		return err
	}
	w.tried, w.shut = stamp, fileStamp{}
	if err == nil {
		err = w.load(data)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	return nil
}

// content reads the file, within its limit.
func (w *watchedFile) content() ([]byte, error) {
	file, err := os.Open(w.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, w.limit+1))
	if err == nil && int64(len(data)) > w.limit {
		err = errFileTooLarge
	}
	return data, err
}

var errFileTooLarge = errors.New("file is too large")
