package transport

import (
	"errors"
	"io"
	"net/netip"

	"github.com/rte-server/rte-server/internal/transport/forwarded"
	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// firstBytes are the first bytes of a connection that are not for the transport itself. release gives their memory
// back.
type firstBytes struct {
	buffers *websocket.ReadBuffers
	buf     *websocket.ReadBuffer // nil: bytes have memory of their own
	bytes   []byte
	peer    netip.AddrPort // of the connection, or of the client if a trusted proxy has named it
	named   bool           // a trusted proxy has named peer
}

// proxyHeader is the result of reading the header of the PROXY protocol, as a metric label.
type proxyHeader string

const (
	proxyHeaderNamed     proxyHeader = "named"
	proxyHeaderLocal     proxyHeader = "local"
	proxyHeaderAbsent    proxyHeader = "absent"
	proxyHeaderMalformed proxyHeader = "malformed"
	proxyHeaderUntrusted proxyHeader = "untrusted"
)

var proxyHeaderResults = [...]proxyHeader{
	proxyHeaderNamed, proxyHeaderLocal, proxyHeaderAbsent, proxyHeaderMalformed, proxyHeaderUntrusted,
}

// errUntrusted means that a connection which needs a header of the PROXY protocol does not come from a trusted proxy.
var errUntrusted = errors.New("not from a trusted proxy")

// read waits for bytes.
func (f *firstBytes) read(sock *websocket.Socket) error {
	f.release()
	buf, n, err := sock.Read(false)
	if err == nil {
		f.buf, f.bytes = buf, buf[:n]
	}
	return err
}

// release gives the memory of the bytes back.
func (f *firstBytes) release() {
	if f.buf != nil {
		f.buffers.Put(f.buf)
	}
	f.buf, f.bytes = nil, nil
}

// readProxyHeader takes the header of the PROXY protocol from the bytes, and more bytes from conn if the header is
// incomplete. With an error the connection is of no use.
func (f *firstBytes) readProxyHeader(
	conn io.Reader, mode forwarded.Mode, proxies *forwarded.Proxies,
) (proxyHeader, error) {
	if !proxies.Trusts(f.peer.Addr()) {
		if mode == forwarded.Required {
			return proxyHeaderUntrusted, errUntrusted
		}
		return proxyHeaderUntrusted, nil
	}
	client, rest, err := forwarded.ReadHeader(f.bytes, conn)
	absent := errors.Is(err, forwarded.ErrAbsent)
	if err != nil && (!absent || mode == forwarded.Required) {
		if absent {
			return proxyHeaderAbsent, err
		}
		return proxyHeaderMalformed, err
	}
	f.release()
	f.bytes = rest
	switch {
	case absent:
		return proxyHeaderAbsent, nil
	case !client.IsValid():
		return proxyHeaderLocal, nil
	}
	f.peer, f.named = client, true
	return proxyHeaderNamed, nil
}
