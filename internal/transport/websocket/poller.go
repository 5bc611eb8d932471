package websocket

// Reader reads a socket, in one goroutine at a time.
type Reader interface {
	// ReadOn reads again after a wait. The poller calls it in a new goroutine.
	ReadOn()
}

// readerState is a value of Socket.reading.
type readerState = int32

const (
	// readerRuns: a goroutine reads, or is about to.
	readerRuns readerState = iota
	// readerWaits: the poller starts the next goroutine when there is something to read.
	readerWaits
	// readerWoken: the socket is closed, or WakeReader was called. The reader keeps its goroutine from now on.
	readerWoken
)

// ReadLater lets the goroutine of a reader end until there is something to read, a Close or a WakeReader. If it returns
// true, the caller must touch nothing of the reader any more: r.ReadOn runs already, or will. It returns false if the
// goroutine has to wait by Read, because of the operating system or of the type of connection, or after a WakeReader. A
// deadline does not end the wait. The caller must be the goroutine that reads.
func (s *Socket) ReadLater(p *Poller, r Reader) bool {
	if s.raw == nil || p == nil {
		return false
	}
	added := s.polled
	s.poller, s.polled = p, true
	if s.reader != r {
		s.reader, s.goOn = r, r.ReadOn // once, so that a wait allocates nothing
	}
	if !s.reading.CompareAndSwap(readerRuns, readerWaits) {
		return false
	}
	// From here on the next goroutine may read at any time.
	if !p.add(s, added) {
		s.wake()
	}
	return true
}

// wake ends the wait of a reader by ReadLater, for good.
func (s *Socket) wake() {
	if s.reading.Swap(readerWoken) == readerWaits {
		s.poller.remove(s)
		go s.goOn()
	}
}

// readOn ends the wait of a reader by ReadLater, because there may be something to read.
func (s *Socket) readOn() {
	if s.reading.CompareAndSwap(readerWaits, readerRuns) {
		go s.goOn()
	}
}
