package directory

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// malformedReporter tells of documents of a source that are not of the form: it counts them, and logs one line for each
// reading however many there were.
type malformedReporter struct {
	logger *zap.Logger
	total  prometheus.Counter
}

func newMalformedReporter(logger *zap.Logger, reg prometheus.Registerer) *malformedReporter {
	if logger == nil {
		logger = zap.NewNop()
	}
	return &malformedReporter{logger: logger, total: newMalformedTotal(reg)}
}

// malformed are those documents of one reading.
type malformed struct {
	documents int
	example   events.ID // of the last of them; zero: it has no id
	reason    error
}

func (m *malformed) add(id events.ID, reason error) {
	m.documents, m.example, m.reason = m.documents+1, id, reason
}

// report ends a reading.
func (r *malformedReporter) report(m *malformed) {
	if m.documents == 0 {
		return
	}
	r.total.Add(float64(m.documents))
	r.logger.Warn("records of the directory are refused", zap.Int("records", m.documents),
		zap.Stringer("entity", m.example), zap.NamedError("reason", m.reason))
}
