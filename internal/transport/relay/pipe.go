package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rte-server/rte-server/internal/transport/websocket"
)

// Hijack takes the connection from net/http, with the bytes that the client has sent already.
type Hijack func(w http.ResponseWriter) (conn net.Conn, buffered []byte, err error)

// maxRefusal bounds the body of the owner's answer to a request that it does not upgrade.
const maxRefusal = 64 << 10

// Upgrade passes a request for a WebSocket on to the node at address. If that node upgrades it, Upgrade returns and the
// bytes go both ways from then on. After an error the request has no answer yet: the client should get 404, and then
// makes a new connection at once.
func (r *Relay) Upgrade(w http.ResponseWriter, req *http.Request, address string, hijack Hijack) error {
	place := r.reserve()
	if place == nil {
		r.metrics.requests[outcomeFull].Inc()
		return ErrFull
	}
	passed := false
	defer func() {
		if !passed {
			r.release(place)
		}
	}()
	if !r.opening.take(req.Context(), r.options.Crowd) {
		r.metrics.requests[outcomeFull].Inc()
		return ErrFull
	}
	owner, response, early, err := r.request(req, address)
	r.opening.leave()
	if err != nil || response.StatusCode >= http.StatusInternalServerError {
		if err == nil {
			abort(owner)
		}
		r.metrics.requests[outcomeOwner].Inc()
		return ErrOwner
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		r.metrics.requests[outcomeAnswered].Inc()
		refuse(w, response)
		abort(owner)
		return nil
	}
	conn, buffered, err := hijack(w)
	if err != nil {
		abort(owner)
		return nil
	}
	p := &pipe{r: r, place: place, client: websocket.NewSocket(conn, &r.buffers), owner: owner}
	if !r.add(p) {
		p.client.Abort()
		abort(owner)
		return nil
	}
	passed = true
	r.metrics.requests[outcomeUpgraded].Inc()
	go p.toOwner(buffered)
	go p.toClient(append(head(response), early...))
	return nil
}

// request sends a request to a node and reads the head of the answer. early has bytes behind the head. The caller owns
// the connection. A node that does not upgrade it has Options.Answer for all of its answer.
func (r *Relay) request(req *http.Request, address string) (
	conn *tls.Conn, response *http.Response, early []byte, err error,
) {
	ctx, cancel := context.WithTimeout(req.Context(), r.options.Answer)
	defer cancel()
	if conn, err = r.dial(ctx, address); err != nil {
		return nil, nil, nil, err
	}
	until, _ := ctx.Deadline()
	_ = conn.SetDeadline(until) // fails only on a closed connection, which the next call reports
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI = "https", address, ""
	out.Header.Del(findHeader)
	out.Header.Set(clientHeader, req.RemoteAddr)
	if _, named := out.Header["User-Agent"]; !named {
		out.Header.Set("User-Agent", "") // otherwise net/http names itself
	}
	reader := bufio.NewReader(io.LimitReader(conn, maxAnswerHead+maxRefusal))
	if err = out.Write(conn); err == nil {
		response, err = http.ReadResponse(reader, out)
	}
	if err != nil {
		abort(conn)
		return nil, nil, nil, err
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		_ = conn.SetDeadline(time.Time{})         // as above
		early, _ = reader.Peek(reader.Buffered()) // never fails: the bytes are there
	}
	return conn, response, early, nil
}

// head returns the head of the answer to an upgrade, as the client gets it.
func head(response *http.Response) []byte {
	text := &appender{}
	text.p = append(text.p, "HTTP/1.1 101 Switching Protocols\r\n"...)
	_ = response.Header.Write(text) // an appender takes all
	return append(text.p, "\r\n"...)
}

// appender collects all writes.
type appender struct{ p []byte }

// Write implements io.Writer.
func (a *appender) Write(p []byte) (int, error) {
	a.p = append(a.p, p...)
	return len(p), nil
}

// refuse gives the client the owner's answer to a request that it did not upgrade.
func refuse(w http.ResponseWriter, response *http.Response) {
	defer response.Body.Close()
	for name, values := range response.Header {
		if name != "Connection" && name != "Date" && name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, io.LimitReader(response.Body, maxRefusal)) // after a failure there is no client to answer
}

// abort ends a connection to another node without the closing alert of TLS, which could wait.
func abort(conn *tls.Conn) { _ = conn.NetConn().Close() }

// pipe is the socket of a client whose connection is on another node. Two goroutines copy, one in each direction. It
// keeps no bytes. Bytes that the client does not take stay with the owner, and the owner treats the client as slow.
type pipe struct {
	r      *Relay
	place  *place
	client *websocket.Socket
	owner  *tls.Conn
	halves atomic.Int32 // ended ones
}

// add adds a pipe with two goroutines. It returns false after Close.
func (r *Relay) add(p *pipe) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.running.Add(2)
	r.pipes++
	p.place.end = p.client.Close
	return true
}

// leave ends one of the goroutines, and the pipe with the second.
func (p *pipe) leave() {
	if p.halves.Add(1) == 2 {
		p.client.Close()
		r := p.r
		r.mu.Lock()
		r.pipes--
		r.mu.Unlock()
		r.release(p.place)
	}
	p.r.running.Done()
}

// toOwner copies the bytes of the client. When the owner has ended the connection, it reads on until the client has
// ended it, too: an end with unread bytes could destroy the last bytes on their way to the client.
func (p *pipe) toOwner(buffered []byte) {
	defer p.leave()
	p.send(buffered)
	waits := !p.client.Direct() // any other socket reads single bytes, or waits with a buffer
	for {
		buf, n, err := p.client.Read(waits)
		if err != nil {
			abort(p.owner) // the owner then waits for another socket
			return
		}
		p.send(buf[:n])
		p.r.buffers.Put(buf)
	}
}

// send gives bytes to the owner. The other goroutine notices a failure.
func (p *pipe) send(bytes []byte) {
	if len(bytes) == 0 {
		return
	}
	_ = p.owner.SetWriteDeadline(time.Now().Add(p.r.options.Send)) // fails only on a closed connection
	if _, err := p.owner.Write(bytes); err != nil {
		abort(p.owner)
		return
	}
	p.r.metrics.toOwner.Add(float64(len(bytes)))
}

// toClient copies the bytes of the owner.
func (p *pipe) toClient(first []byte) {
	defer p.leave()
	defer abort(p.owner)
	small := make([]byte, smallBytes)
	for taken := p.give(first); taken; {
		n, err := p.owner.Read(small)
		taken = p.give(small[:n])
		if err != nil {
			break
		}
		if taken && n == len(small) {
			taken = p.bulk()
		}
	}
	p.client.SetReadTimeout(p.r.options.Close)
	p.client.CloseWrite()
}

// bulk copies with a large buffer until a read does not fill it. It reports whether the client takes bytes.
func (p *pipe) bulk() (taken bool) {
	buf := p.r.bulk.get()
	if buf == nil {
		return true
	}
	defer p.r.bulk.put(buf)
	for {
		n, err := p.owner.Read(buf[:])
		if taken = p.give(buf[:n]); !taken || err != nil || n < smallBytes {
			return taken // the next read reports an error again
		}
	}
}

// give gives bytes to the client, and reports whether it took them in time.
func (p *pipe) give(bytes []byte) (taken bool) {
	if len(bytes) == 0 {
		return true
	}
	if err := p.client.WriteAll(bytes, p.r.options.Send); err != nil {
		p.client.Abort()
		return false
	}
	p.r.metrics.toClient.Add(float64(len(bytes)))
	return true
}
