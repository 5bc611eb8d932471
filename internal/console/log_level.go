package console

import (
	"context"
	"errors"
	"net/url"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LogLevel is the answer of /api/log-level.
type LogLevel struct {
	Node  string `json:"node"`
	Level string `json:"level"` // debug, info, warn or error
}

// logLevel returns the level of the log of this node.
func (o *Operator) logLevel(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query); err != nil {
		return nil, err
	}
	if o.level == nil {
		return nil, errors.New("the level of the log is not known")
	}
	return LogLevel{o.node, o.level.Level().String()}, nil
}

// setLogLevel changes the level of the log of this node, until its next change by a reload or a restart.
func (o *Operator) setLogLevel(_ context.Context, query url.Values) (any, error) {
	if err := onlyKeys(query, "level"); err != nil {
		return nil, err
	}
	level, err := zapcore.ParseLevel(query.Get("level"))
	if err != nil || level < zapcore.DebugLevel || level > zapcore.ErrorLevel || query.Get("level") == "" {
		return nil, BadRequest("level: must be debug, info, warn or error")
	}
	if o.level == nil {
		return nil, errors.New("the level of the log cannot change")
	}
	if level > zapcore.InfoLevel && level > o.configured() {
		return nil, BadRequest("level: the audit log needs info; only the configuration (log.level) can turn it off")
	}
	before := o.level.Level()
	o.level.SetLevel(min(level, before)) // the entry is written at the level that shows more
	o.audit.Info("log level", zap.Stringer("before", before), zap.Stringer("now", level))
	o.level.SetLevel(level)
	return LogLevel{o.node, level.String()}, nil
}
