package diagnosis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Cause explains why a connection to a server failed: detail is the cause in a few words, next the next step. target
// and trust are the configuration keys of the address and of the authorities to trust; trust may be empty.
func Cause(err error, target, trust string) (detail, next string) {
	detail = err.Error()
	if detail, next, ok := certificateCause(err, target, trust); ok {
		return detail, next
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return "the name " + dns.Name + " cannot be resolved: " + dns.Err, "correct " + target + " or the DNS"
	}
	switch timeout, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused, nothing listens there", "start the server, or correct " + target
	case Expired(err), errors.Is(err, os.ErrDeadlineExceeded), ok && timeout.Timeout():
		return "no answer in time", "look for a firewall or a hanging server, or correct " + target
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection", "look at the server's log: it may want TLS, or have no room"
	}
	return detail, "correct " + target
}

// certificateCause is Cause for errors of TLS.
func certificateCause(err error, target, trust string) (detail, next string, ok bool) {
	if trust == "" {
		trust = "the certificate authorities of this machine"
	}
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return "the certificate of the server is not trusted", "add its authority to " + trust, true
	}
	if wrong, is := errors.AsType[x509.HostnameError](err); is {
		return "the certificate of the server is for another name: " + wrong.Error(),
			"correct " + target + ", or the name in the certificate", true
	}
	if wrong, is := errors.AsType[x509.CertificateInvalidError](err); is {
		return "the certificate of the server is not valid: " + wrong.Error(), "renew the certificate of the server", true
	}
	if _, is := errors.AsType[tls.RecordHeaderError](err); is {
		return "the server does not speak TLS on this port", "connect without TLS, or to its port with TLS", true
	}
	if text := err.Error(); strings.Contains(text, "tls: certificate required") ||
		strings.Contains(text, "tls: bad certificate") || strings.Contains(text, "tls: unknown certificate authority") {
		return "the server wants another certificate of this client: " + text, "configure a client certificate", true
	}
	return "", "", false
}
