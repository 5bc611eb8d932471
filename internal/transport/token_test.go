package transport

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rte-server/rte-server/internal/authz"
	"github.com/rte-server/rte-server/internal/events"
)

func TestTokens(t *testing.T) {
	alice, bob := &authz.Claims{User: events.NewID()}, &authz.Claims{User: events.NewID()}
	again := &authz.Claims{User: alice.User, TokenID: "another JWT"}
	mine, err := newTokens([]byte("secret"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := newTokens([]byte("secret"), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newTokens(nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	id := newConnID()
	token := mine.make(id, alice, now)
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
		"with another part":             {mine, token + ".A", alice, false},
		"the same id spelled otherwise": {mine, id.String()[:21] + "_" + token[22:], alice, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, expires, ok := test.tokens.parse(test.token, test.claims)
			if ok != test.want {
				t.Fatalf("accepted: %v", ok)
			}
			if ok && (got != id || expires.UnixMilli() != now.Add(time.Minute).UnixMilli()) {
				t.Errorf("%s until %s", got, expires)
			}
		})
	}
}

// A token is good for one connection, for as long as its lifetime says; its id is in use for as long as the connection
// lives. Nothing is remembered for longer (1.3, N12).
func TestTokens_Expire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 15 * time.Second
		r := newConnections(10, 0, ttl)
		fresh := func() *Conn { return &Conn{id: newConnID(), reader: reader{claims: &authz.Claims{}}} }
		redeem := func(c *Conn, issued time.Time) string {
			reason, ok := r.redeem(c, issued.Add(ttl), time.Now())
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
