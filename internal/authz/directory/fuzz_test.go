package directory_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/rte-server/rte-server/internal/authz/directory"
)

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(`{"kind":"Queue","organization":%q,"members":[%q,%q]}`, home, me, colleague)))
	f.Add([]byte(fmt.Sprintf(`{"kind":"User","organization":%q}`, home)))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"members":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		record, err := directory.ParseRecord(data)
		if (record == nil) == (err == nil) {
			t.Fatal(record, err)
		}
		if err != nil {
			return
		}
		for i := 1; i < len(record.Members); i++ {
			if bytes.Compare(record.Members[i-1][:], record.Members[i][:]) >= 0 {
				t.Fatal("members are not sorted, or one is there twice")
			}
		}
	})
}
