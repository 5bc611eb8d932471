package sample

import "testing"

func TestBox_isFull(t *testing.T) {
	box := New(2, nil)
	if !box.Empty() || box.Size() != "empty" {
		t.Error(box)
	}
	for _, number := range []int{3, 4} {
		if err := box.Add(number); err != nil {
			t.Error(err)
		}
	}
	if box.Add(5) == nil || box.Size() != "full" || box.Sum != 7 {
		t.Error(box)
	}
}
