package forwarded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/pires/go-proxyproto"
)

// Mode is the use of the PROXY protocol on a port.
type Mode string

// The modes.
const (
	// Off: connections begin with their requests.
	Off Mode = "off"
	// Optional: a connection of a trusted proxy may begin with a header.
	Optional Mode = "optional"
	// Required: every connection comes from a trusted proxy and begins with a header.
	Required Mode = "required"
)

// ErrAbsent means that a connection does not begin with a header of the PROXY protocol.
var ErrAbsent = errors.New("no header of the PROXY protocol")

// readBytes is the size of the buffer through which a header is read: all headers without TLVs fit.
const readBytes = 256

// ReadHeader reads a header of version 1 or 2 from the beginning of a connection. first holds the bytes that have come.
// ReadHeader reads from more only where a header of version 2 is incomplete; senders send each whole. client is the
// address in the header; the zero value: the proxy speaks for itself, as in its health checks. rest holds the bytes
// behind the header, or all of them with ErrAbsent. Any other error means that the connection is of no use.
func ReadHeader(first []byte, more io.Reader) (client netip.AddrPort, rest []byte, err error) {
	source := pieces{first, more}
	reader := bufio.NewReaderSize(&source, readBytes)
	header, err := proxyproto.Read(reader)
	switch {
	case errors.Is(err, proxyproto.ErrNoProxyProtocol):
		err = ErrAbsent
	case err != nil:
		return client, nil, fmt.Errorf("read header of the PROXY protocol: %w", err)
	case header.Command.IsProxy():
		sender, _, ok := header.TCPAddrs()
		if !ok {
			return client, nil, errors.New("read header of the PROXY protocol: it is not about TCP")
		}
		from := sender.AddrPort()
		client = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	}
	buffered, _ := reader.Peek(reader.Buffered()) // never fails: the bytes are there
	return client, slices.Concat(buffered, source.first), err
}

// pieces reads the bytes that have come, all at once, and then the rest.
type pieces struct {
	first []byte
	more  io.Reader
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.first) == 0 {
		return p.more.Read(b)
	}
	n := copy(b, p.first)
	p.first = p.first[n:]
	return n, nil
}
