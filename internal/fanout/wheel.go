package fanout

// wheelSlots is the number of ticks after which the wheel comes round.
const wheelSlots = 64

// wheel calls outboxes back after a number of ticks. It saves a timer per connection: 200 bytes and an entry in the
// runtime's heap. It contains each outbox from its opening to its end and so is the list of all outboxes, too.
type wheel struct {
	slots [wheelSlots]*Outbox // heads of doubly linked lists
	tick  uint32
	size  int
}

// spoke is an outbox's place in the wheel.
type spoke struct {
	prev, next *Outbox
	slot       uint8
	due        uint32 // tick
}

// add inserts an outbox that is due after a number of ticks, at least one.
func (w *wheel) add(o *Outbox, ticks uint32) {
	o.due = w.tick + max(ticks, 1)
	w.link(o)
	w.size++
}

// remove removes an outbox.
func (w *wheel) remove(o *Outbox) {
	w.unlink(o)
	w.size--
}

// advance moves on by one tick and calls due with each outbox that is due. due returns the number of ticks after which
// it is to be called again. keep is false if due has removed the outbox itself.
func (w *wheel) advance(due func(o *Outbox) (ticks uint32, keep bool)) {
	w.tick++
	for o := w.slots[w.tick%wheelSlots]; o != nil; {
		next := o.next
		if o.due == w.tick {
			if ticks, keep := due(o); keep {
				w.unlink(o)
				o.due = w.tick + max(ticks, 1)
				w.link(o)
			}
		}
		o = next
	}
}

// each calls f with every outbox. f may remove it.
func (w *wheel) each(f func(o *Outbox)) {
	for i := range w.slots {
		for o := w.slots[i]; o != nil; {
			next := o.next
			f(o)
			o = next
		}
	}
}

func (w *wheel) link(o *Outbox) {
	o.slot = uint8(o.due % wheelSlots)
	o.prev, o.next = nil, w.slots[o.slot]
	if o.next != nil {
		o.next.prev = o
	}
	w.slots[o.slot] = o
}

func (w *wheel) unlink(o *Outbox) {
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		w.slots[o.slot] = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
	o.prev, o.next = nil, nil
}
