package node

import (
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/hub"
	"github.com/rte-server/rte-server/internal/transport"
)

// newAudit makes the audit log: the part of the log that is named audit and records who did what. Its entries
// have ids and never a token. perSecond bounds the entries of each message in a second, so that a flood of refusals
// neither fills a disk nor displaces other entries; a metric counts the entries above it, and their number is written
// once in a second. 0 turns the audit log off.
func newAudit(logger *zap.Logger, perSecond int, reg prometheus.Registerer) *audit {
	dropped := promauto.With(reg).NewCounter(prometheus.CounterOpts{
		Name: "rte_audit_entries_dropped_total",
		Help: "Entries that the audit log had no room for.",
	})
	if perSecond == 0 {
		return &audit{log: zap.NewNop(), dropped: newAuditDrops(zap.NewNop())}
	}
	logger = logger.Named("audit")
	drops := newAuditDrops(logger)
	count := func(entry zapcore.Entry, decision zapcore.SamplingDecision) {
		if decision&zapcore.LogDropped != 0 {
			dropped.Inc()
			drops.count(entry.Message)
		}
	}
	sampled := logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, perSecond, 0, zapcore.SamplerHook(count))
	}))
	return &audit{log: sampled, dropped: drops}
}

// audit writes the entries of the audit log that are about clients. console.Operator writes those about operators.
type audit struct {
	log     *zap.Logger
	dropped *auditDrops
}

// connected records a new session. It makes no field unless the entry is written: clients come in masses.
func (a *audit) connected(s *hub.Session, conn hub.Conn, claims *authz.Claims) {
	entry := a.log.Check(zap.InfoLevel, "connected")
	if entry == nil {
		return
	}
	remote := conn.Remote()
	entry.Write(zap.String("connection", s.ID()), zap.Stringer("protocol", conn.Protocol()),
		zap.Stringer("user", claims.User), zap.Stringer("organization", claims.Organization),
		zap.String("role", string(claims.Role)), zap.String("jti", claims.TokenID),
		addressField(remote.Address), zap.String("client", remote.Agent))
}

// addressField is the field of the address of a client. It is left out if the address is not known.
func addressField(address netip.Addr) zap.Field {
	if !address.IsValid() {
		return zap.Skip()
	}
	return zap.Stringer("address", address)
}

// ended records the end of a connection. It makes no field unless the entry is written, as connected.
func (a *audit) ended(end transport.End) {
	entry := a.log.Check(zap.InfoLevel, "ended")
	if entry == nil {
		return
	}
	entry.Write(zap.String("connection", end.ID),
		zap.Stringer("user", end.Claims.User), zap.Stringer("organization", end.Claims.Organization),
		zap.Stringer("transport", end.Transport), zap.Stringer("reason", end.Reason), zap.String("detail", end.Detail),
		zap.Duration("duration", end.Duration), addressField(end.Address))
}

// refreshed records the new token of a connection.
func (a *audit) refreshed(conn hub.Conn, claims *authz.Claims) {
	a.log.Info("refreshed", zap.String("connection", conn.ID()), zap.Stringer("user", claims.User),
		zap.String("role", string(claims.Role)), zap.String("jti", claims.TokenID))
}

// refused records a request whose token was refused, with the name of the wrong claim, if there is one.
func (a *audit) refused(remote, reason, claim string) {
	fields := []zap.Field{zap.String("remote", remote), zap.String("reason", reason)}
	if claim != "" {
		fields = append(fields, zap.String("claim", claim))
	}
	a.log.Info("refused", fields...)
}

// denied records a refused item of a Subscribe. A call can have thousands: fields are made only if the entry is
// written.
func (a *audit) denied(s *hub.Session, d hub.Denied) {
	entry := a.log.Check(zap.InfoLevel, "subscription refused")
	if entry == nil {
		return
	}
	entity, claims := "", s.Claims()
	if d.Entity != (events.ID{}) {
		entity = d.Entity.String()
	}
	entry.Write(zap.String("connection", s.ID()),
		zap.Stringer("user", claims.User), zap.Stringer("organization", claims.Organization),
		zap.String("entity", entity), zap.String("event", d.Event), zap.String("code", d.Code), zap.String("trace", d.Trace))
}
