package transport

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

// mustTokens makes tokens with the key of a secret.
func mustTokens(t *testing.T, secret []byte, ttl, tolerance time.Duration, previous ...[]byte) *tokens {
	t.Helper()
	keys, err := deriveKeys("connection token", secret, previous)
	if err != nil {
		t.Fatal(err)
	}
	made := newTokens(ttl, tolerance)
	made.keys.Store(&keys)
	return made
}

func TestTokens(t *testing.T) {
	alice, bob := &authz.Claims{User: events.NewID()}, &authz.Claims{User: events.NewID()}
	again := &authz.Claims{User: alice.User, TokenID: "another JWT"}
	mine := mustTokens(t, []byte("secret"), time.Minute, time.Minute)
	peer := mustTokens(t, []byte("secret"), time.Hour, time.Minute)
	other := mustTokens(t, nil, time.Minute, time.Minute)
	now := time.Now()
	id := newConnID()
	token := mine.make(id, 1, false, alice, now)
	for name, test := range map[string]struct {
		tokens *tokens
		token  string
		claims *authz.Claims
		want   bool
	}{
		"good":                          {mine, token, alice, true},
		"of another node":               {peer, token, alice, true},
		"with a new JWT":                {mine, token, again, true},
		"of another user":               {mine, token, bob, false},
		"of a node with another key":    {other, token, alice, false},
		"empty":                         {mine, "", alice, false},
		"public id":                     {mine, id.String(), alice, false},
		"other expiry":                  {mine, strings.Replace(token, ".", ".1", 1), alice, false},
		"other id":                      {mine, newConnID().String() + token[22:], alice, false},
		"without signature":             {mine, token[:strings.LastIndex(token, ".")+1], alice, false},
		"with a shorter signature":      {mine, token[:len(token)-2], alice, false},
		"with something behind":         {mine, token + "A", alice, false},
		"with a ticket":                 {mine, token + ".A", alice, true},
		"with two tickets":              {mine, token + ".A.A", alice, false},
		"the same id spelled otherwise": {mine, id.String()[:21] + "_" + token[22:], alice, false},
		"with a line end in the id":     {mine, id.String()[:20] + "\n\n" + token[22:], alice, false},
		"with a line end in the tail":   {mine, token[:len(token)-9] + "\r\n" + token[len(token)-9:], alice, false},
		"with a zero in the expiry":     {mine, strings.Replace(token, ".", ".0", 1), alice, false},
		"with a sign in the expiry":     {mine, strings.Replace(token, ".", ".+", 1), alice, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := test.tokens.parse(test.token, test.claims)
			if ok = ok && got.sameUser; ok != test.want {
				t.Fatalf("accepted: %v", ok)
			}
			want := connToken{
				id: id, version: 1, expires: time.UnixMilli(now.Add(time.Minute).UnixMilli()),
				foreign: test.tokens != mine, sameUser: true,
			}
			if ok && got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// Base64 passes over ends of lines. An id with them would have fewer bytes.
func TestParseConnID_hasOneSpelling(t *testing.T) {
	for _, text := range []string{"AAAAAAAAAAAAAAAAAAAA\n\n", "AAAAAAAAAA\r\nAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", ""} {
		if id, ok := parseConnID(text); ok {
			t.Errorf("%q is %s", text, id)
		}
	}
}

// A token is good for one connection, for as long as its lifetime says; its id is in use for as long as the connection
// lives. Nothing is remembered for longer (1.3, N12).
func TestTokens_Expire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 15 * time.Second
		r := newConnections(&Limits{Connections: 10}, ttl)
		fresh := func() *Conn { return &Conn{id: newConnID(), reader: reader{claims: &authz.Claims{}}} }
		redeem := func(c *Conn, issued time.Time) string {
			reason, ok := r.redeem(c, issued.Add(ttl).After(time.Now()), time.Now())
			if ok {
				return "ok"
			}
			return refusals[reason].label
		}
		issued := time.Now()
		expect := func(what string, c *Conn, want string) {
			t.Helper()
			if got := redeem(c, issued); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
		}
		c := fresh()
		expect("first use", c, "ok")
		expect("second use", c, "id_in_use")
		r.remove(c)
		expect("used up", c, "unknown_id")
		time.Sleep(ttl - time.Millisecond)
		expect("used up, a moment before it expires", c, "unknown_id")
		expect("unused, a moment before it expires", fresh(), "ok")
		time.Sleep(time.Millisecond)
		expect("unused, expired", fresh(), "unknown_id")

		long := fresh()
		issued = time.Now()
		expect("first use", long, "ok")
		time.Sleep(time.Hour)
		expect("connected long after it expired", long, "id_in_use")
		r.remove(long)
		expect("expired", long, "unknown_id")
		time.Sleep(time.Hour)
		issued = time.Now()
		redeem(fresh(), issued)
		time.Sleep(time.Hour)
		issued = time.Now()
		redeem(fresh(), issued)
		if n := len(r.spent) + len(r.spentBefore); n > 2 {
			t.Errorf("%d used tokens are remembered", n)
		}
	})
}

// Clocks that differed by 15 s, the lifetime of a token, made nodes refuse each other's tokens: every client that
// negotiated with one and connected to another got 404. The node's own tokens still end exactly with their lifetime.
func TestTokens_clocksOfNodesDiffer(t *testing.T) {
	const ttl, tolerance = 15 * time.Second, 30 * time.Second
	issuer := mustTokens(t, []byte("secret"), ttl, tolerance)
	other := mustTokens(t, []byte("secret"), ttl, tolerance)
	claims, issued := &authz.Claims{}, time.Now().Truncate(time.Millisecond)
	text := issuer.make(newConnID(), 1, false, claims, issued)
	for _, test := range []struct {
		node             *tokens
		after            time.Duration // by the clock of the node
		ok, clocksDiffer bool
	}{
		{issuer, 0, true, false},
		{issuer, ttl - 1, true, false},
		{issuer, ttl, false, false},
		{other, 0, true, false},
		{other, ttl - 1, true, false},
		{other, -ttl, true, true},
		{other, -tolerance, true, true},
		{other, -tolerance - 1, false, true},
		{other, ttl, true, true},
		{other, ttl + tolerance - 1, true, true},
		{other, ttl + tolerance, false, true},
	} {
		token, authentic := test.node.parse(text, claims)
		if ok, differ := test.node.inTime(
			&token, issued.Add(test.after),
		); !authentic || ok != test.ok || differ != test.clocksDiffer {
			t.Errorf("foreign %v, after %s: %v, %v; want %v, %v",
				token.foreign, test.after, ok, differ, test.ok, test.clocksDiffer)
		}
	}
}
