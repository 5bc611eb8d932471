package events

// nameSet is a small set of names, for lookups that mostly fail. The length of a name rules out most of them.
type nameSet struct {
	lengths uint64 // bit n is set for a name of length n modulo 64
	names   []string
}

func (s *nameSet) add(names ...string) {
	for _, name := range names {
		s.lengths |= 1 << (len(name) % 64)
		s.names = append(s.names, name)
	}
}

// has reports whether name is in the set, without converting it to a string.
func (s *nameSet) has(name []byte) bool { return s.lengths>>(len(name)%64)&1 != 0 && s.find(name) }

func (s *nameSet) find(name []byte) bool {
	for _, n := range s.names { //nolint:modernize // slices.Contains needs a string, which would be allocated
		if n == string(name) {
			return true
		}
	}
	return false
}
