package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/config"
)

// The values of the label port.
const (
	clientPort   = "clients"
	operatorPort = "operators"
	redisPort    = "redis"
)

// tlsMetrics are the metrics of TLS of both ports.
type tlsMetrics struct {
	expiry  *prometheus.GaugeVec
	reloads *prometheus.CounterVec
	failed  *prometheus.CounterVec
}

func newTLSMetrics(reg prometheus.Registerer) *tlsMetrics {
	m := &tlsMetrics{
		expiry: promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
			Name: "rte_tls_certificate_expiry_timestamp_seconds",
			Help: "End of the certificate in force, as a Unix time, by port or for Redis; 0: there is none.",
		}, []string{"port"}),
		reloads: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "rte_tls_certificate_reloads_total",
			Help: "Changed files of a certificate, by port or for Redis: in force (ok) or refused.",
		}, []string{"port", "result"}),
		failed: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "rte_tls_handshakes_failed_total",
			Help: "Connections that ended before their TLS handshake did, by port.",
		}, []string{"port"}),
	}
	for _, port := range []string{clientPort, operatorPort, redisPort} {
		m.expiry.WithLabelValues(port)
		if port != redisPort {
			m.failed.WithLabelValues(port)
		}
		for _, result := range []string{"ok", "refused"} {
			m.reloads.WithLabelValues(port, result)
		}
	}
	return m
}

// handshake returns a function that does the handshake of a connection of TLS, in place of net/http, and counts
// failures. It answers a client without TLS as net/http does.
func (m *tlsMetrics) handshake(port string) func(net.Conn) error {
	failed := m.failed.WithLabelValues(port)
	return func(conn net.Conn) error {
		secured, ok := conn.(*tls.Conn)
		if !ok {
			return fmt.Errorf("tls: unexpected connection %T", conn)
		}
		err := secured.Handshake()
		if err == nil {
			return nil
		}
		failed.Inc()
		if plain, ok := errors.AsType[tls.RecordHeaderError](err); ok && plain.Conn != nil {
			_, _ = io.WriteString(plain.Conn, "HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n"+
				"The client sent an HTTP request to an HTTPS server.\n") // an error means that the caller has gone
		}
		return err
	}
}

// certificate is the certificate of a port. Its task run reads the files again when they change.
type certificate struct {
	files   config.PortTLS
	port    string
	metrics *tlsMetrics
	logger  *zap.Logger
	inForce atomic.Pointer[tls.Certificate]
	failed  string // the last error of reload, which the log has; owned by run
}

// newCertificate reads the files of a port for the first time.
func newCertificate(files config.PortTLS, port string, metrics *tlsMetrics, logger *zap.Logger) (*certificate, error) {
	c := &certificate{files: files, port: port, metrics: metrics, logger: logger}
	read, err := files.Read()
	if err != nil {
		return nil, err
	}
	c.use(read)
	return c, nil
}

func (c *certificate) use(read *tls.Certificate) {
	c.inForce.Store(read)
	c.metrics.expiry.WithLabelValues(c.port).Set(float64(read.Leaf.NotAfter.Unix()))
}

// listener puts TLS in front of a listener. It offers HTTP/1.1 alone: WebSockets are an upgrade of that version.
func (c *certificate) listener(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.inForce.Load(), nil },
	})
}

// run follows the files until ctx ends. Open connections keep their certificate.
func (c *certificate) run(ctx context.Context) error {
	return watch.Files{
		Paths:   func() []string { return []string{c.files.CertFile, c.files.KeyFile} },
		Changed: c.reload,
	}.Run(ctx)
}

// reload reads the files. A faulty version leaves the last good one in force.
func (c *certificate) reload() error {
	read, err := c.files.Read()
	switch {
	case err == nil && bytes.Equal(read.Leaf.Raw, c.inForce.Load().Leaf.Raw):
		c.failed = ""
		return nil
	case err == nil:
		c.failed = ""
		c.use(read)
		c.metrics.reloads.WithLabelValues(c.port, "ok").Inc()
		c.logger.Info("certificate is in force", zap.String("port", c.port), zap.Time("expiry", read.Leaf.NotAfter))
		return nil
	case err.Error() != c.failed:
		c.failed = err.Error()
		c.metrics.reloads.WithLabelValues(c.port, "refused").Inc()
		c.logger.Error("certificate refused, the last good one stays in force", zap.String("port", c.port), zap.Error(err))
	}
	return err
}

// handshakeWriter is the output of the log of an HTTP server. It counts failed handshakes of TLS and does not pass them
// on: anyone can cause them, and each would be a line in the log.
type handshakeWriter struct {
	to     io.Writer
	failed prometheus.Counter
}

// Write implements io.Writer.
func (w handshakeWriter) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("http: TLS handshake error")) {
		w.failed.Inc()
		return len(p), nil
	}
	return w.to.Write(p)
}

// secure puts TLS in front of a port, if it has a certificate.
func (n *Node) secure(s *server, files config.PortTLS, port string) error {
	if files.CertFile == "" {
		return nil
	}
	c, err := newCertificate(files, port, n.tls, n.logger.Named("tls"))
	if err != nil {
		return fmt.Errorf("tls of the port for %s: %w", port, err)
	}
	s.listener = c.listener(s.listener)
	s.http.ErrorLog.SetOutput(handshakeWriter{s.http.ErrorLog.Writer(), n.tls.failed.WithLabelValues(port)})
	n.tasks = append(n.tasks, c.run)
	return nil
}
