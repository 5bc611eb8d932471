package token_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rte-server/rte-server/internal/authz/token"
	"github.com/rte-server/rte-server/internal/events"
	"github.com/rte-server/rte-server/internal/rtetest"
)

// standard returns the options for the tokens of rtetest.
func standard() token.VerifierOptions {
	return token.VerifierOptions{
		Keys:    token.KeyOptions{Secret: rtetest.Secret},
		Require: token.Requirements{Issuers: []string{rtetest.Issuer}, Audiences: []string{rtetest.Audience}},
	}
}

func mustVerifier(tb testing.TB, o token.VerifierOptions) *token.Verifier {
	tb.Helper()
	verifier, err := token.NewVerifier(o)
	if err != nil {
		tb.Fatal(err)
	}
	return verifier
}

// fields returns the claims of a good token, which a test may change.
func fields() map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"sub": me.String(), "org": home.String(), "iss": rtetest.Issuer, "aud": rtetest.Audience,
		"iat": now, "nbf": now, "exp": now + 60, "jti": "one",
	}
}

// with returns fields with one change; nil removes a claim.
func with(name string, value any) map[string]any {
	f := fields()
	if f[name] = value; value == nil {
		delete(f, name)
	}
	return f
}

func mustSign(tb testing.TB, method jwt.SigningMethod, key any, claims map[string]any) string {
	tb.Helper()
	compact, err := jwt.NewWithClaims(method, jwt.MapClaims(claims)).SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return compact
}

func mustHS256(tb testing.TB, claims map[string]any) string {
	tb.Helper()
	return mustSign(tb, jwt.SigningMethodHS256, []byte(rtetest.Secret), claims)
}

func TestVerify_claims(t *testing.T) {
	grants := []map[string]string{
		{"entity": queue.String()}, {"event": "UserAlert"}, {"entity": me.String(), "event": "UserStatus"},
	}
	now := time.Now().Unix()
	base := token.Claims{
		User: me, Organization: home, Role: token.RoleAgent, TokenID: "one",
		IssuedAt: time.Unix(now, 0), ExpiresAt: time.Unix(now+60, 0),
	}
	change := func(f func(*token.Claims)) token.Claims { c := base; f(&c); return c }
	for name, test := range map[string]struct {
		fields map[string]any
		want   token.Claims
	}{
		"AgentWithoutRole": {with("role", nil), base},
		"Supervisor":       {with("role", "supervisor"), change(func(c *token.Claims) { c.Role = token.RoleSupervisor })},
		"Service":          {with("role", "service"), change(func(c *token.Claims) { c.Role = token.RoleService })},
		"UpperCaseGUID":    {with("sub", strings.ToUpper(me.String())), base},
		"NoTokenID":        {with("jti", nil), change(func(c *token.Claims) { c.TokenID = "" })},
		"NoExpiry":         {with("exp", nil), change(func(c *token.Claims) { c.ExpiresAt = time.Time{} })},
		"NoTimes":          {with("iat", nil), change(func(c *token.Claims) { c.IssuedAt = time.Time{} })},
		"FractionOfSecond": {
			with("iat", float64(now)-0.5), change(func(c *token.Claims) { c.IssuedAt = time.Unix(now-1, 5e8) }),
		},
		"SeveralAudiences": {with("aud", []string{"x", rtetest.Audience}), base},
		"UnknownClaims":    {with("email", "a@b.test"), base},
		"FurtherOrganizations": {
			with("orgs", []string{other.String(), home.String()}),
			change(func(c *token.Claims) { c.Organizations = []events.ID{other} }),
		},
		"Grants": {
			with("grants", grants),
			change(func(c *token.Claims) {
				c.Grants = []token.Grant{{Entity: queue}, {Event: "UserAlert"}, {Entity: me, Event: "UserStatus"}}
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			claims, err := mustVerifier(t, standard()).Verify(mustHS256(t, test.fields))
			if err != nil {
				t.Fatal(err)
			}
			near := cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < 2*time.Second })
			if diff := cmp.Diff(&test.want, claims, near); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Nodes send each other claims as JSON, which has no year 10000. East of Greenwich the last second is in that year.
func TestVerify_lastSecond(t *testing.T) {
	local := time.Local
	time.Local = time.FixedZone("Helsinki", 2*60*60)
	defer func() { time.Local = local }()
	claims, err := mustVerifier(t, standard()).Verify(mustHS256(t, with("exp", 253402300799)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(claims); err != nil {
		t.Error(err)
	}
}

func TestVerify_claimNames(t *testing.T) {
	o := standard()
	o.Claims = token.ClaimNames{
		User: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", Organization: "tid", Role: "r",
		Organizations: "tids", Grants: "g", TokenID: "id",
	}
	want := token.Claims{
		User: me, Organization: home, Organizations: []events.ID{other}, Role: token.RoleService,
		Grants: []token.Grant{{Event: "UserAlert"}}, TokenID: "x",
	}
	compact, err := token.NewSigner(
		token.SignerOptions{Secret: rtetest.Secret, Require: o.Require, Claims: o.Claims},
	).Sign(want, 0)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := mustVerifier(t, o).Verify(compact)
	if err != nil {
		t.Fatal(err)
	}
	claims.IssuedAt = time.Time{}
	if diff := cmp.Diff(&want, claims); diff != "" {
		t.Error(diff)
	}
	if _, err := mustVerifier(t, standard()).Verify(compact); !errors.Is(err, token.ErrClaims) {
		t.Errorf("by the default names: %v", err)
	}
}

func TestVerify_refusals(t *testing.T) {
	rsaKey := mustRSA(t)
	now := time.Now()
	header := `{"alg":"HS256","typ":"JWT"}`
	good := mustHS256(t, fields())
	parts := strings.Split(good, ".")
	for name, test := range map[string]struct {
		compact string
		want    token.Error
	}{
		"Missing":       {"", token.ErrMissing},
		"Garbage":       {"garbage", token.ErrMalformed},
		"TwoDots":       {"..", token.ErrMalformed},
		"FourParts":     {good + ".x", token.ErrMalformed},
		"NotBase64":     {"a!." + parts[1] + "." + parts[2], token.ErrMalformed},
		"Padded":        {parts[0] + "." + parts[1] + "." + parts[2] + "=", token.ErrMalformed},
		"LooseBits":     {good[:len(good)-1] + next(good[len(good)-1]), token.ErrMalformed},
		"BearerInFront": {"Bearer " + good, token.ErrMalformed},
		"TooLarge":      {strings.Repeat("x", token.DefaultMaxSize+1), token.ErrTooLarge},
		"HugeClaims":    {mustHS256(t, with("x", strings.Repeat("x", token.DefaultMaxSize))), token.ErrTooLarge},
		"DeepClaims": {
			rtetest.MustSign(t, []byte(rtetest.Secret), header, `{"x":`+strings.Repeat("[", 11_000)), token.ErrMalformed,
		},
		"WrongSignature": {
			parts[0] + "." + parts[1] + "." + strings.Split(mustHS256(t, with("jti", "two")), ".")[2], token.ErrSignature,
		},
		"WrongSecret":         {mustSign(t, jwt.SigningMethodHS256, []byte("another"), fields()), token.ErrSignature},
		"NoSignature":         {parts[0] + "." + parts[1] + ".", token.ErrSignature},
		"AlgorithmNone":       {rtetest.MustSign(t, nil, `{"alg":"none"}`, mustJSON(fields())), token.ErrAlgorithm},
		"AlgorithmNoneInCase": {rtetest.MustSign(t, nil, `{"alg":"NoNe"}`, mustJSON(fields())), token.ErrAlgorithm},
		"AlgorithmNoneSigned": {
			rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"none"}`, mustJSON(fields())), token.ErrAlgorithm,
		},
		"AlgorithmAbsent": {rtetest.MustSign(t, []byte(rtetest.Secret), `{}`, mustJSON(fields())), token.ErrAlgorithm},
		"AlgorithmNumber": {
			rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":256}`, mustJSON(fields())), token.ErrAlgorithm,
		},
		"AlgorithmNotAllowed": {mustSign(t, jwt.SigningMethodRS256, rsaKey, fields()), token.ErrAlgorithm},
		"CriticalExtension": {
			rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256","crit":["exp"]}`, mustJSON(fields())),
			token.ErrUnacceptable,
		},
		"TypeOfAnotherToken": {
			rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256","typ":"secevent+jwt"}`, mustJSON(fields())),
			token.ErrUnacceptable,
		},
		"TypeNotText": {
			rtetest.MustSign(t, []byte(rtetest.Secret), `{"alg":"HS256","typ":1}`, mustJSON(fields())),
			token.ErrUnacceptable,
		},
		"Expired":              {mustHS256(t, with("exp", now.Unix()-60)), token.ErrExpired},
		"NotYetValid":          {mustHS256(t, with("nbf", now.Unix()+60)), token.ErrNotYetValid},
		"WrongIssuer":          {mustHS256(t, with("iss", "https://else.test")), token.ErrIssuer},
		"NoIssuer":             {mustHS256(t, with("iss", nil)), token.ErrIssuer},
		"WrongAudience":        {mustHS256(t, with("aud", "else")), token.ErrAudience},
		"NoAudience":           {mustHS256(t, with("aud", nil)), token.ErrAudience},
		"EmptyAudiences":       {mustHS256(t, with("aud", []string{})), token.ErrAudience},
		"ExpiryText":           {mustHS256(t, with("exp", "9999999999")), token.ErrClaims},
		"ExpiryBeyondTime":     {mustHS256(t, with("exp", 1e300)), token.ErrClaims},
		"ExpiryNegative":       {mustHS256(t, with("exp", -1)), token.ErrClaims},
		"ExpiryNull":           {rtetest.MustSign(t, []byte(rtetest.Secret), header, `{"exp":null}`), token.ErrClaims},
		"NoUser":               {mustHS256(t, with("sub", nil)), token.ErrClaims},
		"UserNotGUID":          {mustHS256(t, with("sub", "anna")), token.ErrClaims},
		"UserInBraces":         {mustHS256(t, with("sub", "{"+me.String()+"}")), token.ErrClaims},
		"UserWithoutHyphens":   {mustHS256(t, with("sub", strings.ReplaceAll(me.String(), "-", ""))), token.ErrClaims},
		"UserInWideDigits":     {mustHS256(t, with("sub", "\uff11"+me.String()[1:])), token.ErrClaims},
		"UserNumber":           {mustHS256(t, with("sub", 7)), token.ErrClaims},
		"NoOrganization":       {mustHS256(t, with("org", nil)), token.ErrClaims},
		"OrganizationNotGUID":  {mustHS256(t, with("org", "acme")), token.ErrClaims},
		"OrganizationInCase":   {mustHS256(t, rename("org", "Org")), token.ErrClaims},
		"RoleUnknown":          {mustHS256(t, with("role", "admin")), token.ErrClaims},
		"RoleInCase":           {mustHS256(t, with("role", "Service")), token.ErrClaims},
		"RoleUnknownInAList":   {mustHS256(t, with("role", []string{"admin", "Service"})), token.ErrClaims},
		"RoleANumber":          {mustHS256(t, with("role", 1)), token.ErrClaims},
		"RoleListOfNumbers":    {mustHS256(t, with("role", []int{1})), token.ErrClaims},
		"OrganizationsText":    {mustHS256(t, with("orgs", other.String())), token.ErrClaims},
		"OrganizationsNotGUID": {mustHS256(t, with("orgs", []string{"*"})), token.ErrClaims},
		"TooManyOrganizations": {mustHS256(t, with("orgs", many(65, other.String()))), token.ErrClaims},
		"GrantOfEverything":    {mustHS256(t, with("grants", many(1, map[string]any{}))), token.ErrClaims},
		"GrantOfZeros": {
			mustHS256(t, with("grants", many(1, map[string]any{"entity": events.ID{}.String()}))), token.ErrClaims,
		},
		"GrantUnknownMember": {
			mustHS256(t, with("grants", many(1, map[string]any{"event": "UserAlert", "until": 1}))), token.ErrClaims,
		},
		"GrantNotGUID":   {mustHS256(t, with("grants", many(1, map[string]any{"entity": "*"}))), token.ErrClaims},
		"GrantsText":     {mustHS256(t, with("grants", "*")), token.ErrClaims},
		"TooManyGrants":  {mustHS256(t, with("grants", many(257, map[string]any{"event": "x"}))), token.ErrClaims},
		"TokenIDTooLong": {mustHS256(t, with("jti", strings.Repeat("x", 257))), token.ErrClaims},
		"ClaimTwice": {
			rtetest.MustSign(t, []byte(rtetest.Secret), header, `{"sub":"a",`+mustJSON(fields())[1:]), token.ErrClaims,
		},
		"ClaimTwiceEscaped": {
			rtetest.MustSign(t, []byte(rtetest.Secret), header, `{"\u006frg":"a",`+mustJSON(fields())[1:]), token.ErrClaims,
		},
		"ClaimsNull": {rtetest.MustSign(t, []byte(rtetest.Secret), header, `null`), token.ErrIssuer},
		"ClaimsList": {rtetest.MustSign(t, []byte(rtetest.Secret), header, `[]`), token.ErrClaims},
		"ClaimsText": {rtetest.MustSign(t, []byte(rtetest.Secret), header, `"x"`), token.ErrClaims},
		"HeaderNull": {rtetest.MustSign(t, []byte(rtetest.Secret), `null`, mustJSON(fields())), token.ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			registry := prometheus.NewPedanticRegistry()
			o := standard()
			o.Logger, o.Registerer = zap.New(core), registry
			claims, err := mustVerifier(t, o).Verify(test.compact)
			if !errors.Is(err, test.want) || claims != nil {
				t.Fatalf("got %v, %v; want %v", claims, err, test.want)
			}
			for part := range strings.SplitSeq(test.compact, ".") {
				if len(part) > 8 && strings.Contains(fmt.Sprint(err, logs.All()), part) {
					t.Errorf("the error or the log carries the token: %v, %v", err, logs.All())
				}
			}
			if token.Reason(err) != string(test.want) {
				t.Errorf("reason %q", token.Reason(err))
			}
			if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
				t.Error(problems, err)
			}
		})
	}
}

func TestVerify_types(t *testing.T) {
	for _, header := range []string{
		`{"alg":"HS256"}`, `{"alg":"HS256","typ":"JWT"}`, `{"alg":"HS256","typ":"jwt"}`, `{"alg":"HS256","typ":"at+jwt"}`,
		`{"alg":"HS256","typ":"application/at+jwt"}`,
	} {
		compact := rtetest.MustSign(t, []byte(rtetest.Secret), header, mustJSON(fields()))
		if _, err := mustVerifier(t, standard()).Verify(compact); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

// TestVerify_atTheSecond checks the limits: a token is no longer valid from exp on, and valid from nbf on (RFC 7519,
// sections 4.1.4 and 4.1.5).
func TestVerify_atTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		strict, lenient := standard(), standard()
		lenient.Require.Leeway = 5 * time.Second
		compact := mustHS256(t, map[string]any{
			"sub": me.String(), "org": home.String(), "iss": rtetest.Issuer, "aud": rtetest.Audience,
			"nbf": start.Unix() + 10, "exp": start.Unix() + 20,
		})
		for _, step := range []struct {
			at              time.Duration
			strict, lenient error
		}{
			{0, token.ErrNotYetValid, token.ErrNotYetValid},
			{5*time.Second - 1, token.ErrNotYetValid, token.ErrNotYetValid},
			{5 * time.Second, token.ErrNotYetValid, nil},
			{10*time.Second - 1, token.ErrNotYetValid, nil},
			{10 * time.Second, nil, nil},
			{20*time.Second - 1, nil, nil},
			{20 * time.Second, token.ErrExpired, nil},
			{25*time.Second - 1, token.ErrExpired, nil},
			{25 * time.Second, token.ErrExpired, token.ErrExpired},
		} {
			time.Sleep(time.Until(start.Add(step.at)))
			for verifier, want := range map[*token.Verifier]error{
				mustVerifier(t, strict): step.strict, mustVerifier(t, lenient): step.lenient,
			} {
				if _, err := verifier.Verify(compact); !errors.Is(err, want) {
					t.Errorf("at %v: got %v, want %v", step.at, err, want)
				}
			}
		}
	})
}

func TestVerify_requireExpiry(t *testing.T) {
	o := standard()
	o.Require.Expiry = true
	if _, err := mustVerifier(t, o).Verify(mustHS256(t, with("exp", nil))); !errors.Is(err, token.ErrClaims) {
		t.Error(err)
	}
	if _, err := mustVerifier(t, o).Verify(mustHS256(t, fields())); err != nil {
		t.Error(err)
	}
}

func TestVerify_noIssuerNoAudienceConfigured(t *testing.T) {
	verifier := mustVerifier(t, token.VerifierOptions{Keys: token.KeyOptions{Secret: rtetest.Secret}})
	for _, f := range []map[string]any{fields(), with("iss", nil), with("aud", nil)} {
		if _, err := verifier.Verify(mustHS256(t, f)); err != nil {
			t.Error(err)
		}
	}
}

func TestParseGrant(t *testing.T) {
	for text, want := range map[string]*token.Grant{
		queue.String():                  {Entity: queue},
		queue.String() + ":QueueStatus": {Entity: queue, Event: "QueueStatus"},
		":UserAlert":                    {Event: "UserAlert"},
		"":                              nil,
		":":                             nil,
		"sales":                         nil,
		events.ID{}.String() + ":x":     nil,
	} {
		grant, err := token.ParseGrant(text)
		if (err == nil) != (want != nil) || want != nil && grant != *want {
			t.Errorf("%q: %v, %v", text, grant, err)
		}
	}
}
