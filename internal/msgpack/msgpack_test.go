package msgpack_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	library "github.com/vmihailenco/msgpack/v5"

	"github.com/rte-server/rte-server/internal/msgpack"
)

// A library that we did not write reads what we append.
func TestAppend_readByAnotherLibrary(t *testing.T) {
	moments := []time.Time{
		time.Unix(1, 0).UTC(), time.Unix(1, 5).UTC(), time.Unix(1<<33, 0).UTC(),
		time.Unix(1<<34, 7).UTC(), time.Unix(-1, 0).UTC(), // the library reads the last two as we write them
	}
	for _, moment := range moments {
		var got time.Time
		if err := library.Unmarshal(msgpack.AppendTimestamp(nil, moment), &got); err != nil || !got.Equal(moment) {
			t.Errorf("%s: %s, %v", moment, got, err)
		}
	}
	for _, n := range []int64{
		0, 1, 127, 128, 255, 256, 1 << 16, 1<<32 - 1, 1 << 32, math.MaxInt64, -1, -32, -33, -128, -129, -1 << 15, -1<<15 - 1,
		-1 << 31, -1<<31 - 1, math.MinInt64,
	} {
		var got int64
		if err := library.Unmarshal(msgpack.AppendInt(nil, n), &got); err != nil || got != n {
			t.Errorf("%d: %d, %v", n, got, err)
		}
	}
	for _, length := range []int{0, 31, 32, 255, 256, 65535, 65536} {
		want := strings.Repeat("x", length)
		var got string
		if err := library.Unmarshal(msgpack.AppendString(nil, want), &got); err != nil || got != want {
			t.Errorf("string of %d: %d bytes, %v", length, len(got), err)
		}
	}
	for _, length := range []int{0, 15, 16, 65535, 65536} {
		array := append(msgpack.AppendArrayLen(nil, length), bytes.Repeat([]byte{msgpack.Nil}, length)...)
		var got []any
		if err := library.Unmarshal(array, &got); err != nil || len(got) != length {
			t.Errorf("array of %d: %d, %v", length, len(got), err)
		}
		pairs := msgpack.AppendMapLen(nil, length)
		for i := range length {
			pairs = append(msgpack.AppendInt(pairs, int64(i)), msgpack.True)
		}
		var gotMap map[int]bool
		if err := library.Unmarshal(pairs, &gotMap); err != nil || len(gotMap) != length {
			t.Errorf("map of %d: %d, %v", length, len(gotMap), err)
		}
	}
}

func TestReader_readsWhatIsAppended(t *testing.T) {
	data := msgpack.AppendArrayLen(nil, 70_000)
	data = append(data, bytes.Repeat([]byte{msgpack.Nil}, 70_000)...)
	data = msgpack.AppendMapLen(data, 1)
	data = msgpack.AppendString(data, strings.Repeat("k", 300))
	data = msgpack.AppendInt(data, math.MinInt32)
	data = msgpack.AppendUint(data, math.MaxUint64)
	data = msgpack.AppendFloat64(data, 1.5)
	data = msgpack.AppendTimestamp(data, time.Unix(1<<34, 3))

	r := msgpack.NewReader(data)
	if n := r.ArrayLen(); n != 70_000 {
		t.Errorf("array of %d", n)
	}
	for range 70_000 {
		if !r.TakeNil() {
			t.Fatal("no nil")
		}
	}
	pairs, key, number := r.MapLen(), r.String(), r.Int32()
	large, negative := r.Int()
	float, bits := r.Float()
	kind, extension := r.Extension()
	moment, ok := msgpack.ParseTimestamp(extension)
	want := []any{
		1, strings.Repeat("k", 300), int64(math.MinInt32), uint64(math.MaxUint64), false, 1.5, 64, byte(msgpack.Timestamp),
		time.Unix(1<<34, 3).UTC(), true,
	}
	got := []any{pairs, key, number, large, negative, float, bits, kind, moment, ok}
	if diff := cmp.Diff(want, got); diff != "" || r.Err() != nil || r.Remaining() != 0 {
		t.Errorf("%v, %d bytes remain\n%s", r.Err(), r.Remaining(), diff)
	}
}

func TestReader_refusesWhatIsNotThere(t *testing.T) {
	reads := map[string]func(*msgpack.Reader){
		"\xdd\xff\xff\xff\xff\x00": func(r *msgpack.Reader) { r.ArrayLen() },
		"\xdf\xff\xff\xff\xff\x00": func(r *msgpack.Reader) { r.MapLen() },
		"\xdb\x7f\xff\xff\xff":     func(r *msgpack.Reader) { _ = r.String() },
		"\xc0":                     func(r *msgpack.Reader) { _ = r.String() },
		"\xce\xff\xff\xff\xff":     func(r *msgpack.Reader) { r.Int32() },
		"\xcf\x00":                 func(r *msgpack.Reader) { r.Int() },
		"\xa0":                     func(r *msgpack.Reader) { r.Int() },
		"\xcb\x00":                 func(r *msgpack.Reader) { r.Float() },
		"\x01":                     func(r *msgpack.Reader) { r.Float() },
		"\xc9\xff\xff\xff\xff\x00": func(r *msgpack.Reader) { r.Extension() },
		"\xd9":                     func(r *msgpack.Reader) { r.Extension() },
		"":                         func(r *msgpack.Reader) { r.Format() },
	}
	for data, read := range reads {
		r := msgpack.NewReader([]byte(data))
		read(&r)
		if !errors.Is(r.Err(), msgpack.ErrMalformed) || r.Remaining() != 0 {
			t.Errorf("%x: %v, %d bytes remain", data, r.Err(), r.Remaining())
		}
	}
	if _, ok := msgpack.ParseTimestamp([]byte{0}); ok {
		t.Error("a timestamp of one byte")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x93\x01\xa1a\x81\xc3\xcb\x00\x00\x00\x00\x00\x00\x00\x00"), []byte{0, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, data, calls []byte) {
		r := msgpack.NewReader(data)
		for _, call := range calls {
			before := r.Remaining()
			switch call % 7 {
			case 0:
				if n := r.ArrayLen(); n > before {
					t.Errorf("%d elements in %d bytes", n, before)
				}
			case 1:
				if n := r.MapLen(); n > before {
					t.Errorf("%d pairs in %d bytes", n, before)
				}
			case 2:
				_ = r.String()
			case 3:
				r.Int()
			case 4:
				r.Float()
			case 5:
				r.Extension()
			case 6:
				r.TakeNil()
			}
			if r.Remaining() > before {
				t.Fatal("the reader went back")
			}
		}
	})
}
