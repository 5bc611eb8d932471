package node

import (
	"context"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rte-server/rte-server/internal/config"
	"github.com/rte-server/rte-server/internal/logsink"
)

// NewLogger makes a logger with the checked log.level and log.format, and returns its level. It writes to w, one line
// at a time.
func NewLogger(c *config.Config, w io.Writer) (*zap.Logger, zap.AtomicLevel) {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	config.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(config)
	if c.Log.Format == "console" {
		config.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		config.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(config)
	}
	level, err := zap.ParseAtomicLevel(c.Log.Level)
	if err != nil {
		panic(err) // the key allows only these levels
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), level
}

// configuredLevel returns the level of the log in the configuration in force.
func (n *Node) configuredLevel() zapcore.Level {
	level, err := zapcore.ParseLevel(n.live.Load().Log.Level)
	if err != nil {
		return zapcore.InfoLevel // the key allows only levels
	}
	return level
}

// droppedInterval is the time between two reports of dropped log lines.
const droppedInterval = 10 * time.Second

// registerLogMetrics adds the metrics of the log to reg.
func registerLogMetrics(sink *logsink.Sink, reg prometheus.Registerer) {
	factory := promauto.With(reg)
	factory.NewCounterFunc(prometheus.CounterOpts{
		Name: "rte_log_lines_dropped_total",
		Help: "Log lines that nothing has written, because the reader of the log did not keep up or the writing failed.",
	}, func() float64 { return float64(sink.Dropped()) })
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_log_waiting_bytes", Help: "Bytes of log lines that wait to be written.",
	}, func() float64 { return float64(sink.Waiting()) })
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rte_log_capacity_bytes", Help: "Bytes of log lines that can wait; further lines are dropped.",
	}, func() float64 { return logsink.Capacity })
}

// reportDropped returns the task that logs the number of dropped log lines once the log has room again.
func reportDropped(sink *logsink.Sink, logger *zap.Logger, interval time.Duration) Task {
	return func(ctx context.Context) error {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for reported := int64(0); ; {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return nil
			}
			dropped := sink.Dropped()
			if dropped == reported || sink.Waiting() > logsink.Capacity/2 {
				continue
			}
			logger.Warn("log lines were dropped", zap.Int64("lines", dropped-reported))
			reported = dropped
		}
	}
}
