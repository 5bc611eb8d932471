// Package choice decides whether a place in the sources behaves differently. Only sources that test/mutants has changed
// call it. The environment chooses at most one mutant for a process, and names the file that gets what was reached.
package choice

import (
	"cmp"
	"os"
	"strconv"
	"syscall"
)

const (
	// Mutant is the environment variable that has the number of the chosen mutant. Programs refuse unknown variables that
	// begin with RTE_.
	Mutant = "MUTANT"
	// Reached is the environment variable that names the file whose byte i becomes 1 when mutant i is reached. Programs
	// that a test starts write into it as well.
	Reached = "MUTANT_REACHED"
	// Limit is above all numbers of mutants.
	Limit = 1 << 17
)

var (
	chosen, _ = strconv.Atoi(os.Getenv(Mutant))
	reached   = shared(os.Getenv(Reached))
)

// shared returns the memory of a file; nil without a name.
func shared(name string) []byte {
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a file of the tests
	if err != nil {
		panic(err)
	}
	defer file.Close()
	if err := file.Truncate(Limit); err != nil {
		panic(err)
	}
	memory, err := syscall.Mmap(int(file.Fd()), 0, Limit, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return memory
}

// Of reports whether the mutant is the chosen one.
func Of(mutant int) bool {
	if reached != nil {
		reached[mutant] = 1
	}
	return mutant == chosen
}

// Not inverts b in the mutant.
func Not(mutant int, b bool) bool { return b != Of(mutant) }

// NoError loses the error in the mutant.
func NoError(mutant int, err error) error {
	if err != nil && Of(mutant) {
		return nil
	}
	return err
}

// Zero is the zero value in the mutant.
func Zero[T any](mutant int, value T) T {
	if Of(mutant) {
		var zero T
		return zero
	}
	return value
}

// Original is the original in the mutant, and its copy otherwise.
func Original[T any](mutant int, original, clone T) T {
	if Of(mutant) {
		return original
	}
	return clone
}

// Less is a < b, and a <= b in the mutant.
func Less[T cmp.Ordered](mutant int, a, b T) bool { return a < b || a == b && Of(mutant) }

// LessOrEqual is a <= b, and a < b in the mutant.
func LessOrEqual[T cmp.Ordered](mutant int, a, b T) bool { return a < b || a == b && !Of(mutant) }

// integer are the types of sums.
type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

// Sum is a + b, and a in the mutant.
func Sum[T integer](mutant int, a, b T) T {
	if b != 0 && Of(mutant) {
		return a
	}
	return a + b
}

// Difference is a - b, and a in the mutant.
func Difference[T integer](mutant int, a, b T) T {
	if b != 0 && Of(mutant) {
		return a
	}
	return a - b
}

// Min is the lesser of a and b, and the other one in the mutant.
func Min[T cmp.Ordered](mutant int, a, b T) T {
	if a != b && Of(mutant) {
		return max(a, b)
	}
	return min(a, b)
}

// Max is the greater of a and b, and the other one in the mutant.
func Max[T cmp.Ordered](mutant int, a, b T) T {
	if a != b && Of(mutant) {
		return min(a, b)
	}
	return max(a, b)
}
