package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/diagnosis"
)

// maxMetadata bounds the metadata of an issuer, in bytes.
const maxMetadata = 256 << 10

// DiagnoseKeySets reads every key set once, as a verifier would, and compares the metadata of its issuer. algorithms
// are the allowed algorithms; empty: all. ctx bounds its duration.
func DiagnoseKeySets(
	ctx context.Context, sets []KeySetOptions, algorithms []string, require *Requirements,
) []diagnosis.Finding {
	var checks []func() []diagnosis.Finding
	for _, set := range sets {
		checks = append(checks, newKeySetDiagnosis(ctx, set, algorithms, require).run)
	}
	return diagnosis.Together(checks...)
}

// keySetDiagnosis is the diagnosis of one key set.
type keySetDiagnosis struct {
	set        *keySet
	algorithms []string
	require    *Requirements
	findings   []diagnosis.Finding
}

func newKeySetDiagnosis(
	ctx context.Context, set KeySetOptions, algorithms []string, require *Requirements,
) *keySetDiagnosis {
	s := newKeySet(set, nil, zap.NewNop(), nil)
	s.cancel() // cancels the context of the set
	s.ctx = ctx
	return &keySetDiagnosis{set: s, algorithms: algorithms, require: require}
}

// add records a finding. The subject names only the host: the rest of a URL may have a secret.
func (d *keySetDiagnosis) add(status diagnosis.Status, check, detail, next string) {
	d.findings = append(d.findings, diagnosis.Finding{
		Subject: "key set " + d.set.host(), Check: check, Status: status, Detail: detail, Next: next,
	})
}

func (d *keySetDiagnosis) run() []diagnosis.Finding {
	keys, skipped, err := d.set.fetch()
	if err != nil {
		detail, next := d.cause(err)
		d.add(diagnosis.Failed, "read", detail, next)
		return d.findings
	}
	d.add(diagnosis.OK, "read", fmt.Sprintf("keys that can verify signatures: %d", len(keys)), "")
	for _, key := range skipped[:min(len(skipped), maxReported)] {
		if key.wrong {
			d.add(diagnosis.Warning, "keys", fmt.Sprintf("the key %.*q is skipped: %s", maxReportedID, key.id, key.reason),
				"report it to the operator of the issuer")
		}
	}
	d.usable(keys)
	d.issuers()
	return d.findings
}

// cause explains why a set could not be read.
func (d *keySetDiagnosis) cause(err error) (detail, next string) {
	text := err.Error()
	if failed, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client returns it as it is
		return diagnosis.Cause(failed.Err, "auth.jwks_url", "")
	}
	switch {
	case strings.HasPrefix(text, "status 3"):
		return text, "name the final URL in auth.jwks_url: redirects are not followed"
	case strings.HasPrefix(text, "status 4"):
		return text, "correct auth.jwks_url"
	case strings.HasPrefix(text, "status "):
		return text, "look at the server of the key set"
	case strings.HasPrefix(text, "no key that can verify"):
		return text, "publish a key of at least 2048 bits (RSA), or of P-256, P-384, P-521 or Ed25519"
	}
	return text, "correct auth.jwks_url, or look at the server of the key set"
}

// usable checks that the allowed algorithms can use the keys.
func (d *keySetDiagnosis) usable(keys []setKey) {
	if len(d.algorithms) == 0 {
		return
	}
	usable := 0
	for _, key := range keys {
		if slices.ContainsFunc(d.algorithms, func(name string) bool {
			fits := keyAlgorithms[canonical(name)]
			return fits != nil && fits(key.key) && (key.algorithm == "" || key.algorithm == canonical(name))
		}) {
			usable++
		}
	}
	detail := fmt.Sprintf("%d of %d fit auth.algorithms", usable, len(keys))
	if usable == 0 {
		d.add(diagnosis.Failed, "algorithms", detail, "add the algorithm of the keys to auth.algorithms")
		return
	}
	d.add(diagnosis.OK, "algorithms", detail, "")
}

// issuers compares the set with the metadata of the issuers whose tokens it verifies: their name, and the place of
// their keys.
func (d *keySetDiagnosis) issuers() {
	names := []string{d.set.Issuer}
	if d.set.Issuer == "" {
		names = d.require.Issuers
	}
	for _, name := range names {
		all, err := expandIssuer(name, d.require.Tenants)
		if err != nil || len(all) == 0 {
			continue
		}
		d.issuer(all[0])
	}
}

// metadata is the document that an issuer may publish about itself (OpenID Connect Discovery 1.0, section 3).
type metadata struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`
}

func (d *keySetDiagnosis) issuer(name string) {
	m, err := d.metadata(name)
	switch {
	case err != nil:
		// An issuer may publish none, and a node never reads it.
		d.add(diagnosis.OK, "issuer", fmt.Sprintf("%q publishes no metadata to compare with (%v)", name, err), "")
	case m.Issuer != name:
		d.add(diagnosis.Failed, "issuer", fmt.Sprintf("%q calls itself %q", name, m.Issuer),
			"configure the issuer as its tokens have it, with or without the last slash")
	case m.JWKSURI != "" && m.JWKSURI != d.set.URL:
		d.add(diagnosis.Warning, "issuer", fmt.Sprintf("%q publishes its keys elsewhere", name),
			"compare auth.jwks_url with jwks_uri in the metadata of the issuer")
	default:
		d.add(diagnosis.OK, "issuer", fmt.Sprintf("%q names this key set", name), "")
	}
}

// metadata reads the metadata of an issuer.
func (d *keySetDiagnosis) metadata(issuer string) (*metadata, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("it is no URL")
	}
	address := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	request, err := http.NewRequestWithContext(d.set.ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := d.set.client.Do(request)
	if failed, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client returns it as it is
		detail, _ := diagnosis.Cause(failed.Err, "", "")
		return nil, errors.New(detail)
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	var m metadata
	if err := json.NewDecoder(io.LimitReader(response.Body, maxMetadata)).Decode(&m); err != nil || m.Issuer == "" {
		return nil, errors.New("no metadata")
	}
	return &m, nil
}
