package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// auditEntry is a line of the audit log about a refused item.
type auditEntry struct {
	Logger, Msg, Connection, User, Organization, Entity, Event, Code, Trace string
}

// refusals returns the entries about refused items so far.
func (p *running) refusals() (all []auditEntry) {
	p.t.Helper()
	for line := range strings.Lines(p.output.text()) {
		var e auditEntry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			p.t.Fatalf("%v: %s", err, line)
		}
		if e.Logger == "audit" && e.Msg == "subscription refused" {
			all = append(all, e)
		}
	}
	return all
}

// TestServe_auditsRefusals checks that each refused item is in the audit log, with all that an operator needs to get
// the reason, and without text of the client.
func TestServe_auditsRefusals(t *testing.T) {
	p := start(t, serveArgs()...)
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	const colleague = "cc9730c4-ce86-e611-80c9-00505689257e"
	subscribe := func(c *client, items ...[2]string) {
		t.Helper()
		var texts []string
		for _, item := range items {
			texts = append(texts, fmt.Sprintf(`{"EntityId":%q,"EventName":%q}`, item[0], item[1]))
		}
		c.send(`{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[` + strings.Join(texts, ",") + `]]}`)
		c.expect(`"result":`)
	}
	subscribe(p.connect(token, ""),
		[2]string{testUser, "UserStatus"}, // allowed
		[2]string{strings.ToUpper(colleague), "useralert"},
		[2]string{token, "UserStatus"},
		[2]string{colleague, token},
	)
	subscribe(p.connect(token, "?features=notices"), [2]string{colleague, "UserAlert"})

	want := []auditEntry{
		{Entity: colleague, Event: "UserAlert", Code: "unauthorized"},
		{Event: "UserStatus", Code: "invalid_entity"},
		{Entity: colleague, Code: "unknown_event"},
		{Entity: colleague, Event: "UserAlert", Code: "unauthorized"},
	}
	eventually(t, "the entries", func() bool { return len(p.refusals()) >= len(want) }) // the log is written later
	got := p.refusals()
	if len(got) != len(want) {
		t.Fatalf("the audit log has %+v", got)
	}
	for i, w := range want {
		w.Logger, w.Msg, w.User, w.Organization = "audit", "subscription refused", testUser, testOrganization
		w.Connection, w.Trace = got[i].Connection, got[i].Trace
		if got[i] != w || w.Connection == "" || (w.Trace != "") != (i == 3) {
			t.Errorf("entry %d is %+v", i, got[i])
		}
	}
	if status, body := fetch(t, "GET", p.operators+"/api/explain?trace="+got[3].Trace); status != 200 {
		t.Errorf("the trace leads to %d %s", status, body)
	}
	if log := p.output.text(); strings.Contains(log, token) || strings.Contains(log, token[:60]) {
		t.Error("a token is in the log")
	}
}

// TestServe_boundsAuditOfRefusals makes more entries than the audit log has room for.
func TestServe_boundsAuditOfRefusals(t *testing.T) {
	p := start(t, serveArgs("--log.audit_rate=5")...)
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	c := p.connect(token, "")
	const items = 300
	c.send(`{"type":1,"invocationId":"1","target":"Subscribe","arguments":[[` +
		strings.Repeat(`{"EntityId":"x","EventName":"UserStatus"},`, items-1) +
		`{"EntityId":"x","EventName":"UserStatus"}]]}`)
	c.ws.SetReadLimit(-1)
	c.expect(`"result":`)
	dropped := 0
	if _, err := fmt.Sscan(p.metric("rte_audit_entries_dropped_total"), &dropped); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the entries that are not dropped", func() bool { return len(p.refusals()) == items-dropped })
	if logged := items - dropped; logged == 0 || logged > items/2 {
		t.Errorf("%d entries are logged and %d left out", logged, dropped)
	}
}

// TestServe_auditsEnds checks that the audit log has the end of each connection with its user and cause, and that the
// client gets the cause with detailed_errors.
func TestServe_auditsEnds(t *testing.T) {
	p := start(t, serveArgs("--detailed_errors")...)
	token := strings.TrimSpace(mustCommand(t, "", "token", "--user", testUser, "--org", testOrganization))
	p.connect(token, "").send(`{"type":7}`)
	malformed := p.connect(token, "")
	malformed.send(`{"type":`)
	malformed.expect(`"error":"Connection closed with an error. InvalidDataException: The message is malformed."`)

	type end struct{ Reason, Detail string }
	got := map[end]bool{}
	eventually(t, "both ends are in the audit log", func() bool {
		for line := range strings.Lines(p.output.text()) {
			var e struct {
				Logger, Msg, Connection, User, Organization, Reason, Detail string
				Duration                                                    any
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Logger != "audit" || e.Msg != "ended" {
				continue
			}
			if e.User != testUser || e.Organization != testOrganization || e.Connection == "" || e.Duration == nil {
				t.Fatalf("entry is %s", line)
			}
			got[end{e.Reason, e.Detail}] = true
		}
		return len(got) == 2
	})
	if !got[end{"client", ""}] || !got[end{"protocol_error", "malformed_message"}] {
		t.Errorf("ends are %v", got)
	}
}
