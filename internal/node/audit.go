package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newAudit makes the logger of who did what: a part of the log, with the name audit, whose entries have ids and never a
// token. It has room for a number of entries of each message in a second, so that those who are refused in masses can
// fill neither a disk nor the place of the others; what finds no room is counted. 0: nothing is logged.
func newAudit(logger *zap.Logger, perSecond int, reg prometheus.Registerer) *zap.Logger {
	dropped := promauto.With(reg).NewCounter(prometheus.CounterOpts{
		Name: "rte_audit_entries_dropped_total",
		Help: "Entries that the audit log had no room for.",
	})
	if perSecond == 0 {
		return zap.NewNop()
	}
	count := func(_ zapcore.Entry, decision zapcore.SamplingDecision) {
		if decision&zapcore.LogDropped != 0 {
			dropped.Inc()
		}
	}
	return logger.Named("audit").WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, perSecond, 0, zapcore.SamplerHook(count))
	}))
}
