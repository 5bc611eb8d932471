package fanout

import (
	"sync"
	"sync/atomic"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	// freeParts divides the free part of OutboxOptions.TotalBytes: one outbox may have an eighth of it. The fuller the
	// memory, the less each outbox may have. So the bound is never exceeded, and many slow clients do not use up the part
	// of others: the dynamic threshold of switches with shared memory.
	freeParts = 8
	// userParts divides OutboxOptions.TotalBytes: the outboxes of one user may have a sixteenth of it together.
	userParts = 16
)

// Owner is the user that a socket belongs to. The zero value is none.
type Owner struct{ Organization, User events.ID }

// account counts the memory of the frames that wait for the full sockets of one user.
type account struct {
	owner    Owner
	outboxes int // with a full socket; guarded by accounts.mu
	bytes    atomic.Int64
}

// accounts holds an account for each user with a full socket. Its methods may be called from any goroutine.
type accounts struct {
	mu      sync.Mutex
	byOwner map[Owner]*account // guarded by mu
}

func newAccounts() *accounts { return &accounts{byOwner: map[Owner]*account{}} }

// open returns the account of a user for one more outbox; nil if there is no user.
func (s *accounts) open(owner Owner) *account {
	if owner == (Owner{}) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.byOwner[owner]
	if a == nil {
		a = &account{owner: owner}
		s.byOwner[owner] = a
	}
	a.outboxes++
	return a
}

// close takes back what open returned. Nothing may wait any more.
func (s *accounts) close(a *account) {
	if a == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.outboxes--; a.outboxes == 0 {
		delete(s.byOwner, a.owner)
	}
}

// hold adds bytes, which may be negative, to what waits for the socket.
func (o *Outbox) hold(bytes int) {
	o.shard.waitingBytes += bytes
	after := o.held.Add(int64(bytes))
	o.shard.sizes.move(int(after)-bytes, int(after))
	if w := o.waiting; w != nil && w.account != nil {
		w.account.bytes.Add(int64(bytes))
	}
}

// exceedsTotal reports whether an outbox with so many bytes that wait has more than its part of the memory of all
// outboxes, or its user has.
func (o *Outbox) exceedsTotal(waiting int) bool {
	total := o.shard.options.Outbox.TotalBytes
	if total == 0 {
		return false
	}
	// Each shard has an equal part, so that it does not need the others.
	free := total/o.shard.options.Shards - o.shard.waitingBytes
	a := o.waiting.account
	return waiting > free/freeParts || a != nil && a.bytes.Load() > int64(total/userParts)
}
