package directory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// maxAnswer is the largest response, in bytes.
const maxAnswer = 32 << 20

// HTTPSourceOptions configure an HTTPSource.
type HTTPSourceOptions struct {
	URL   string // required
	Token string // sent as "Authorization: Bearer"; empty: no such header
	// Connections is the largest number of connections. Default DefaultConcurrency.
	Connections int

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// HTTPSource reads records from a REST API, a batch in one request:
//
//	POST <URL>
//	{"ids": ["c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3", ...]}
//
//	200 OK
//	{"entities": [{"id": "c9eeb030-...", "kind": "Queue", "organization": "29f6e823-...", "name": "Sales",
//	               "members": ["aa9730c4-..."]}, ...]}
//
// Entities that are missing from the response do not exist. Any other status is a failure. A malformed record is
// counted and treated as missing.
type HTTPSource struct {
	options   HTTPSourceOptions
	token     atomic.Pointer[string]
	client    *http.Client
	malformed *malformedReporter
}

var _ Source = (*HTTPSource)(nil)

// NewHTTPSource checks the options.
func NewHTTPSource(o HTTPSourceOptions) (*HTTPSource, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("directory: HTTPSourceOptions.URL is not an http or https URL")
	}
	o.Connections = cmp.Or(o.Connections, DefaultConcurrency)
	s := &HTTPSource{options: o, malformed: newMalformedReporter(o.Logger, o.Registerer), client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxIdleConnsPerHost:    o.Connections,
			MaxConnsPerHost:        o.Connections,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
		// A redirect would send the bearer token and the request to a host that the operator did not configure.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	s.SetToken(o.Token)
	return s, nil
}

// SetToken replaces HTTPSourceOptions.Token. Any goroutine may call it.
func (s *HTTPSource) SetToken(token string) { s.token.Store(&token) }

// Close closes the idle connections.
func (s *HTTPSource) Close() { s.client.CloseIdleConnections() }

// Records implements Source. The context bounds its duration.
func (s *HTTPSource) Records(ctx context.Context, ids []events.ID, records []*Record) error {
	query := struct {
		IDs []string `json:"ids"`
	}{make([]string, len(ids))}
	for i, id := range ids {
		query.IDs[i] = id.String()
	}
	body, err := json.Marshal(query)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	// A lookup changes nothing: net/http may send it again if the API closes the connection meanwhile. The header is not
	// sent.
	request.Header["Idempotency-Key"] = nil
	if token := *s.token.Load(); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return statusError(response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("directory returned more than %d bytes", maxAnswer)
	}
	return s.read(data, ids, records)
}

func (s *HTTPSource) read(data []byte, ids []events.ID, records []*Record) error {
	var answer struct {
		Entities []json.RawMessage `json:"entities"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return errors.New("directory returned a malformed response")
	}
	byID := make(map[events.ID]*Record, len(answer.Entities))
	var bad malformed
	for _, text := range answer.Entities {
		var d document
		wrong := json.Unmarshal(text, &d) // one at a time, so that a malformed record does not spoil the others
		id, ok := events.ParseID(d.ID)
		if !ok {
			bad.add(id, errors.New("id: not a GUID"))
			continue
		}
		if wrong != nil {
			bad.add(id, errNotDocument)
			continue
		}
		record, err := d.record()
		if err != nil {
			bad.add(id, err)
			continue
		}
		byID[id] = record
	}
	s.malformed.report(&bad)
	for i, id := range ids {
		records[i] = byID[id]
	}
	return nil
}
