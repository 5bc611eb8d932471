// Package sample has one mutant of each kind.
package sample

import (
	"errors"
	"slices"
)

// Box holds some numbers.
type Box struct {
	Limit   int
	Numbers []int
	Sum     int
	Left    bool
}

// ErrFull is the error of a box that is full.
var ErrFull = errors.New("full")

// New returns a box.
func New(limit int, numbers []int) *Box {
	return &Box{Limit: max(limit, 1), Numbers: slices.Clone(numbers)}
}

// Add adds a number.
func (b *Box) Add(number int) error {
	if len(b.Numbers) >= b.Limit && !b.Left {
		return b.fail(ErrFull)
	}
	b.note(number)
	b.Numbers = append(b.Numbers, number)
	return nil
}

func (b *Box) note(number int) { b.Sum = b.Sum + number }

func (b *Box) fail(err error) error { return err }

// Size returns a word.
func (b *Box) Size() string {
	switch {
	case len(b.Numbers) == 0:
		return "empty"
	case len(b.Numbers) < b.Limit:
		return "some"
	}
	return "full"
}

// Empty reports whether the box is empty.
func (b *Box) Empty() bool { return len(b.Numbers) == 0 }
