package events_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rte-server/rte-server/internal/events"
)

const (
	orgText    = "29f6e823-b484-e611-80c9-00505689257e"
	entityText = "aa9730c4-ce86-e611-80c9-00505689257e"
	otherText  = "c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3"
	idText     = "3144cbed-7bfa-480e-a782-66ea86fb61c4"
)

// routed is a UserStatus with routing fields only.
const routed = `{"OrganizationId":"` + orgText + `","EntityType":"User","EntityId":"` + entityText +
	`","EventType":"UserStatus"}`

func TestDecode_readsRoutingFields(t *testing.T) {
	c := events.Builtin()
	userStatus, _ := c.Lookup("UserStatus")
	want := events.Event{
		Topic:      events.Topic{Organization: mustID(t, orgText), Entity: mustID(t, entityText), Type: userStatus},
		TTLSeconds: 60,
	}
	with := func(change func(*events.Event)) events.Event {
		changed := want
		change(&changed)
		return changed
	}
	more := func(properties string) string { return routed[:len(routed)-1] + "," + properties + "}" }
	noon := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

	tests := map[string]struct {
		data string
		want events.Event
	}{
		"RoutingFieldsOnly": {routed, want},
		"CamelCase": {
			`{"organizationId":"` + orgText + `","entityType":"User","entityId":"` + entityText + `","eventType":"UserStatus",` +
				`"messageTTLSeconds":7,"timestamp":"2020-01-01T12:00:00Z","id":"` + idText + `"}`,
			with(func(ev *events.Event) { ev.TTLSeconds, ev.Timestamp, ev.ID = 7, noon, mustID(t, idText) }),
		},
		"UpperCaseGUIDs": {
			strings.ReplaceAll(
				strings.ReplaceAll(routed, orgText, strings.ToUpper(orgText)), entityText, strings.ToUpper(entityText),
			), want,
		},
		"EventTypeInAnyCase": {strings.Replace(routed, `"UserStatus"`, `"userstatus"`, 1), want},
		"RootEntityOfOrganization": {
			strings.Replace(routed, `"OrganizationId"`, `"RootEntityType":"Organization","RootEntityId"`, 1), want,
		},
		"OrganizationIdNull": {
			more(`"organizationid":1,"RootEntityType":"Organization","RootEntityId":"` + otherText + `"`), want,
		},
		"OrganizationBeatsRoot": {more(`"RootEntityType":"Organization","RootEntityId":"` + otherText + `"`), want},
		"NullOrganizationIsNone": {
			strings.Replace(more(`"RootEntityType":"Organization","RootEntityId":"`+orgText+`"`), `"`+orgText+`"`, "null", 1),
			want,
		},
		"WhiteSpace": {
			"\r\n\t " + strings.NewReplacer(`,`, " ,\n ", `:`, "\t: ", `{`, "{\n", `}`, " } ").Replace(routed) + "\n ", want,
		},
		"TTL":          {more(`"MessageTTLSeconds":-1`), with(func(ev *events.Event) { ev.TTLSeconds = -1 })},
		"TTLNotNumber": {more(`"MessageTTLSeconds":"60"`), want},
		"TTLFraction":  {more(`"MessageTTLSeconds":1.5`), want},
		"TTLHuge":      {more(`"MessageTTLSeconds":10000000000000000000000`), want},
		"TTLNull":      {more(`"MessageTTLSeconds":null`), want},
		"Timestamp": {
			more(`"Timestamp":"2020-01-01T12:00:00"`), with(func(ev *events.Event) { ev.Timestamp = noon }),
		},
		"TimestampEscaped": {
			more(`"Timestamp":"2020-01-01T14:00:00\u002B02:00"`), with(func(ev *events.Event) { ev.Timestamp = noon }),
		},
		"TimestampNotDate":           {more(`"Timestamp":"soon"`), want},
		"IdNotGUID":                  {more(`"Id":17`), want},
		"EscapedName":                {strings.Replace(routed, `"EntityId"`, `"\u0045ntity\u0049d"`, 1), want},
		"EscapedValue":               {strings.Replace(routed, `"UserStatus"`, `"User\u0053tatus"`, 1), want},
		"EscapedGUID":                {strings.Replace(routed, `"aa97`, `"\u0061a97`, 1), want},
		"NestedNamesDoNotCount":      {more(`"A":{"EntityId":"x","B":[{"EventType":1}]},"C":[[],{},"]}"]`), want},
		"NameInsideString":           {more(`"A":"\"EntityId\":\"x\"","B":"\\"`), want},
		"OtherCaseDoesNotCount":      {more(`"ENTITYID":"x","entityid":"y"`), want},
		"DuplicateOfOthersDoesCount": {more(`"A":1,"A":2`), want},
		"SixtyOneLevels":             {more(`"A":` + strings.Repeat("[", 60) + strings.Repeat("]", 60)), want},
		"EmptyNames":                 {more(`"":"","":{}`), want},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := c.Decode([]byte(tc.data))
			if err != nil {
				t.Fatal(err)
			}
			if string(got.Data) != tc.data {
				t.Errorf("got data %q", got.Data)
			}
			got.Data = nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecode_refuses(t *testing.T) {
	c := events.Builtin()
	replace := func(from, to string) string {
		if !strings.Contains(routed, from) {
			t.Fatalf("%q is not in the message", from)
		}
		return strings.Replace(routed, from, to, 1)
	}
	garbage := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(garbage); err != nil {
		t.Fatal(err)
	}

	tests := map[string]struct {
		data string
		want events.Reason
	}{
		"Empty":                    {"", events.ReasonNotJSON},
		"SpaceOnly":                {" \n ", events.ReasonNotJSON},
		"Garbage":                  {"\x00\x01\x02", events.ReasonNotJSON},
		"GarbageOfOneMegabyte":     {string(garbage), events.ReasonTooLarge},
		"ObjectOfOneMegabyte":      {replace(`{`, `{"A":"`+strings.Repeat("x", 1<<20)+`",`), events.ReasonTooLarge},
		"Text":                     {"hello", events.ReasonNotJSON},
		"Array":                    {"[" + routed + "]", events.ReasonNotObject},
		"String":                   {`"x"`, events.ReasonNotObject},
		"NegativeNumber":           {`-1`, events.ReasonNotObject},
		"Number":                   {`0`, events.ReasonNotObject},
		"LargeNumber":              {`9`, events.ReasonNotObject},
		"True":                     {`true`, events.ReasonNotObject},
		"False":                    {`false`, events.ReasonNotObject},
		"Slash":                    {`/`, events.ReasonNotJSON},
		"Colon":                    {`:`, events.ReasonNotJSON},
		"Null":                     {`null`, events.ReasonNotObject},
		"ByteOrderMark":            {"\ufeff" + routed, events.ReasonNotJSON},
		"Truncated":                {routed[:len(routed)-1], events.ReasonNotJSON},
		"TruncatedInName":          {routed[:20], events.ReasonNotJSON},
		"TruncatedInString":        {`{"A":"` + strings.Repeat("x", 50), events.ReasonNotJSON},
		"TruncatedInEscape":        {`{"A":"\`, events.ReasonNotJSON},
		"TruncatedInNested":        {`{"A":[{"B":"`, events.ReasonNotJSON},
		"TruncatedInScalar":        {`{"A":1`, events.ReasonNotJSON},
		"TruncatedAfterColon":      {`{"A":`, events.ReasonNotJSON},
		"TruncatedAfterComma":      {`{"A":1,`, events.ReasonNotJSON},
		"TrailingGarbage":          {routed + "x", events.ReasonNotJSON},
		"TwoObjects":               {routed + routed, events.ReasonNotJSON},
		"TrailingComma":            {replace(`}`, `,}`), events.ReasonNotJSON},
		"NoColon":                  {replace(`:`, ` `), events.ReasonNotJSON},
		"NoValue":                  {replace(`{`, `{"A":,`), events.ReasonNotJSON},
		"NoComma":                  {replace(`,`, ` `), events.ReasonNotJSON},
		"NameWithoutQuotes":        {replace(`{`, `{A:1,`), events.ReasonNotJSON},
		"NameWithControlCharacter": {replace(`{`, "{\"A\x01\":1,"), events.ReasonNotJSON},
		"BadEscapeInName":          {replace(`{`, `{"\x":1,`), events.ReasonNotJSON},
		"EmptyObject":              {" { } ", events.ReasonNoEvent},
		"EmptyObjectThenGarbage":   {"{}}", events.ReasonNotJSON},
		"TooDeep": {
			replace(`{`, `{"A":`+strings.Repeat("[", 61)+strings.Repeat("]", 61)+`,`), events.ReasonTooDeep,
		},
		"TenThousandDeep":      {replace(`{`, `{"A":`+strings.Repeat(`{"a":[`, 5000)), events.ReasonTooDeep},
		"DuplicateEntity":      {replace(`{`, `{"EntityId":"`+otherText+`",`), events.ReasonDuplicateField},
		"DuplicateInOtherCase": {replace(`{`, `{"entityId":"`+otherText+`",`), events.ReasonDuplicateField},
		"DuplicateInEscapes":   {replace(`{`, `{"Entity\u0049d":"`+otherText+`",`), events.ReasonDuplicateField},
		"NoEvent":              {replace(`"EventType"`, `"Other"`), events.ReasonNoEvent},
		"EventNotString":       {replace(`"UserStatus"`, `7`), events.ReasonNoEvent},
		"EventNull":            {replace(`"UserStatus"`, `null`), events.ReasonNoEvent},
		"EventNameEndless": {
			replace(`"UserStatus"`, `"`+strings.Repeat("UserStatus", 1000)+`"`), events.ReasonNoEvent,
		},
		"UnknownEvent":          {replace(`"UserStatus"`, `"UserUnknown"`), events.ReasonUnknownEvent},
		"NoEntityType":          {replace(`"EntityType"`, `"Other"`), events.ReasonWrongEntityType},
		"EventWithBadEscape":    {replace(`UserStatus`, `User\qtatus`), events.ReasonNoEvent},
		"EntityInBrackets":      {replace(`"`+entityText+`"`, `[`+entityText+`]`), events.ReasonNoEntity},
		"UnknownEventOfNoKind":  {`{"EventType":"Unknown","EntityType":7}`, events.ReasonWrongEntityType},
		"OtherEntityType":       {replace(`"User"`, `"Queue"`), events.ReasonWrongEntityType},
		"EntityTypeInOtherCase": {replace(`"User"`, `"user"`), events.ReasonWrongEntityType},
		"NoEntity":              {replace(`"EntityId"`, `"Other"`), events.ReasonNoEntity},
		"EntityNull":            {replace(`"`+entityText+`"`, `null`), events.ReasonNoEntity},
		"EntityNotGUID":         {replace(entityText, entityText[:35]+"g"), events.ReasonNoEntity},
		"EntityInBraces":        {replace(entityText, "{"+entityText+"}"), events.ReasonNoEntity},
		"NoOrganization":        {replace(`"OrganizationId"`, `"Other"`), events.ReasonNoOrganization},
		"OrganizationNotGUID":   {replace(orgText, "here"), events.ReasonNoOrganization},
		"OrganizationNotString": {replace(`"`+orgText+`"`, `{}`), events.ReasonNoOrganization},
		"RootOfAnotherType": {
			replace(`"OrganizationId"`, `"RootEntityType":"Galaxy","RootEntityId"`), events.ReasonNoOrganization,
		},
		"RootWithoutType": {replace(`"OrganizationId"`, `"RootEntityId"`), events.ReasonNoOrganization},
		"BadOrganizationHasNoRoot": {
			replace(`"`+orgText+`"`, `"x","RootEntityType":"Organization","RootEntityId":"`+orgText+`"`),
			events.ReasonNoOrganization,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ev, err := c.Decode([]byte(tc.data))
			if !errors.Is(err, events.ErrMalformed) {
				t.Fatalf("got event %+v, error %v", ev, err)
			}
			if got, ok := events.ReasonOf(err); !ok || got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if ev.Data != nil || ev.Topic != (events.Topic{}) {
				t.Errorf("got an event with the error: %+v", ev)
			}
		})
	}
}

func TestDecode_samples(t *testing.T) {
	c := events.Builtin()
	for _, want := range published(t) {
		t.Run(want.Name, func(t *testing.T) {
			ev := mustDecode(t, c, sample(t, want.Name))
			if got := c.Definition(ev.Type).Name; got != want.Name {
				t.Errorf("got event %s", got)
			}
			if ev.TTLSeconds != want.TTLSeconds {
				t.Errorf("got TTL %d, want %d", ev.TTLSeconds, want.TTLSeconds)
			}
			if noon := time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC); !ev.Timestamp.Equal(noon) {
				t.Errorf("got timestamp %v", ev.Timestamp)
			}
			if ev.ID == (events.ID{}) || ev.Entity != (events.ID{}) || ev.Organization != (events.ID{}) {
				t.Errorf("got id %v, entity %v, organization %v", ev.ID, ev.Entity, ev.Organization)
			}
		})
	}
}

func TestLimit_refusesLargerMessages(t *testing.T) {
	c := events.Builtin().Limit(len(routed))
	in := events.NewIngress(events.IngressOptions{Catalog: c, Validation: events.ValidateOff})
	unwanted := func(events.Topic) bool { return false }
	for name, read := range map[string]func(data []byte) error{
		"Decode":   func(data []byte) error { _, err := c.Decode(data); return err },
		"Topic":    func(data []byte) error { _, err := c.Topic(data); return err },
		"DecodeIf": func(data []byte) error { _, _, err := in.DecodeIf(data, unwanted); return err },
		"Skim":     func(data []byte) error { _, _, err := in.Skim(data, unwanted); return err },
	} {
		if err := read([]byte(routed)); err != nil {
			t.Errorf("%s at the limit: %v", name, err)
		}
		if err := read([]byte(routed + " ")); !errors.Is(err, events.ReasonTooLarge) {
			t.Errorf("%s over the limit: %v", name, err)
		}
	}
}

func TestDecode_allocatesNothing(t *testing.T) {
	c := events.Builtin()
	inputs := [][]byte{
		sample(t, "UserStatus"),
		sample(t, "CallbackChanged"),
		[]byte(strings.Replace(routed, `"EntityId"`, `"\u0045ntity\u0049d"`, 1)),
		[]byte(strings.Replace(routed, `"UserStatus"`, `"userSTATUS"`, 1)),
		[]byte(strings.Replace(routed, `"UserStatus"`, `"nothing"`, 1)),
		bytes.Repeat([]byte("["), 1<<20),
		[]byte(`{"A":` + strings.Repeat("[", 1<<15)),
	}
	for _, data := range inputs {
		if allocs := testing.AllocsPerRun(100, func() { _, _ = c.Decode(data) }); allocs != 0 {
			t.Errorf("allocated %v times on %.40q, want 0", allocs, data)
		}
	}
}
