package directory

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// malformedReporter counts the malformed documents of a source and logs one line per reading, however many there are.
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

// malformed describes the malformed documents of one reading.
type malformed struct {
	documents int
	example   events.ID // of the last one; zero: it has no id
	reason    error
}

func (m *malformed) add(id events.ID, reason error) {
	m.documents, m.example, m.reason = m.documents+1, id, reason
}

// report counts and logs the malformed documents of a reading.
func (r *malformedReporter) report(m *malformed) {
	if m.documents == 0 {
		return
	}
	r.total.Add(float64(m.documents))
	r.logger.Warn("records of the directory are refused", zap.Int("records", m.documents),
		zap.Stringer("entity", m.example), zap.NamedError("reason", m.reason))
}
