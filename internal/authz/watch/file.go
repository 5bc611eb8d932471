package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
)

// interval is how often a watched file is checked. A check is one stat; the file is read only when it changed.
const interval = time.Second

// Options configure a File.
type Options struct {
	Path  string
	Limit int64 // bytes; a longer file is refused
	// Load puts a version of the file into force, or refuses it as a whole. New and Run call it, one at a time.
	Load func(data []byte) error
	// Name is what the file holds, for the name of its metric: rte_authz_<name>_reloads_total.
	Name string

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// File is a file that is read again when it changes. A version that cannot be read, or that Load refuses, leaves the
// previous one in force.
type File struct {
	options        Options
	loaded, failed prometheus.Counter

	// Owned by New, then by Run.
	tried    stamp // the version that was read last, good or bad
	shut     stamp // the version that could not be read last, which the log has reported
	previous stamp // the version that the previous check found
	missing  bool  // the last check failed, which the log has reported
}

// New reads the file for the first time. The error names the file.
func New(o Options) (*File, error) {
	if o.Load == nil {
		return nil, errors.New("watch: Options.Load is required")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	reloads := promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "rte_authz_" + o.Name + "_reloads_total",
		Help: "Changed versions of the " + o.Name + " file, by whether they came into force.",
	}, []string{"result"})
	w := &File{options: o, loaded: reloads.WithLabelValues("ok"), failed: reloads.WithLabelValues("refused")}
	version, err := w.stat()
	if err != nil {
		return nil, err
	}
	if err := w.try(version); err != nil {
		return nil, err
	}
	return w, nil
}

// Run checks the file until ctx ends. It returns nil.
func (w *File) Run(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			w.check()
		}
	}
}

// check reads the file if it changed and was the same at the previous check: half of a file that is being written may
// be a valid file.
func (w *File) check() {
	version, err := w.stat()
	if err != nil {
		if !w.missing {
			w.missing = true
			w.options.Logger.Warn("watched file is not readable, the last good version stays in force", zap.Error(err))
		}
		return
	}
	w.missing = false
	stable := version.equal(w.previous)
	w.previous = version
	if !stable || version.equal(w.tried) {
		return
	}
	if err := w.try(version); err != nil {
		if version.equal(w.shut) {
			return // reported already
		}
		if !version.equal(w.tried) {
			w.shut = version
		}
		w.failed.Inc()
		w.options.Logger.Error("watched file is refused, the last good version stays in force", zap.Error(err))
		return
	}
	w.loaded.Inc()
	w.options.Logger.Info("watched file is in force in a new version", zap.String("file", w.options.Path))
}

func (w *File) stat() (stamp, error) {
	info, err := statFile(w.options.Path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info: info, modified: info.ModTime(), size: info.Size()}, nil
}

// try reads and loads one version of the file. It tries a version that cannot be read again at the next check: the
// cause, such as missing permissions or descriptors, may go away without a new version.
func (w *File) try(version stamp) error {
	data, err := ReadFile(w.options.Path, w.options.Limit)
	if err != nil && !errors.Is(err, errTooLarge) {
		return err
	}
	w.tried, w.shut = version, stamp{}
	if err != nil {
		return err
	}
	if err := w.options.Load(data); err != nil {
		return fmt.Errorf("%s: %w", w.options.Path, err)
	}
	return nil
}

var errTooLarge = errors.New("file is too large")

// stamp identifies a version of a file.
type stamp struct {
	info     fs.FileInfo
	modified time.Time
	size     int64
}

// equal reports whether two stamps are of the same version.
func (s stamp) equal(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return s.size == other.size && s.modified.Equal(other.modified) && os.SameFile(s.info, other.info)
}
