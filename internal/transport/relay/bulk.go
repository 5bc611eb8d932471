package relay

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// smallBytes is the size of the buffer of a socket that waits for its owner. bulkBytes is the size of the buffer for
	// copying: a record of TLS.
	smallBytes = 512
	bulkBytes  = 16 << 10
	// maxBulkBytes bounds the large buffers of all sockets. Without one, a socket copies with its small buffer.
	maxBulkBytes = 16 << 20
)

// bulkBuffers are the large buffers. A socket has one only while it copies.
type bulkBuffers struct {
	used  chan struct{} // has an element for each buffer in use
	pool  sync.Pool
	bytes prometheus.Gauge
}

func newBulkBuffers(bytes prometheus.Gauge) *bulkBuffers {
	return &bulkBuffers{used: make(chan struct{}, maxBulkBytes/bulkBytes), bytes: bytes}
}

// get returns a buffer; nil: all are in use.
func (b *bulkBuffers) get() *[bulkBytes]byte {
	select {
	case b.used <- struct{}{}:
	default:
		return nil
	}
	b.bytes.Add(bulkBytes)
	if buf, ok := b.pool.Get().(*[bulkBytes]byte); ok {
		return buf
	}
	return new([bulkBytes]byte)
}

func (b *bulkBuffers) put(buf *[bulkBytes]byte) {
	b.pool.Put(buf)
	b.bytes.Sub(bulkBytes)
	<-b.used
}
