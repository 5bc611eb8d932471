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

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// maxAnswer is in bytes.
const maxAnswer = 32 << 20

// HTTPSourceOptions say whom an HTTPSource asks.
type HTTPSourceOptions struct {
	URL   string // needed
	Token string // sent as "Authorization: Bearer"; empty: no such header
	// Connections is how many connections are kept open. Default DefaultConcurrency.
	Connections int

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// HTTPSource asks a REST API for records, all of a batch in one request:
//
//	POST <URL>
//	{"ids": ["c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3", ...]}
//
//	200 OK
//	{"entities": [{"id": "c9eeb030-...", "kind": "Queue", "organization": "29f6e823-...", "name": "Sales",
//	               "members": ["aa9730c4-..."]}, ...]}
//
// Entities that are not in the answer do not exist. Any other status is a failure. A record that is not of the form is
// taken for one that does not exist.
type HTTPSource struct {
	options   HTTPSourceOptions
	client    *http.Client
	malformed *malformedReporter
}

var _ Source = (*HTTPSource)(nil)

// NewHTTPSource checks the options.
func NewHTTPSource(o HTTPSourceOptions) (*HTTPSource, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("directory url: not an http or https URL")
	}
	o.Connections = cmp.Or(o.Connections, DefaultConcurrency)
	return &HTTPSource{options: o, malformed: newMalformedReporter(o.Logger, o.Registerer), client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxIdleConnsPerHost:    o.Connections,
			MaxConnsPerHost:        o.Connections,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
		// A redirect would take the bearer token, and the question, to somebody whom the operator did not name.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close gives up the open connections.
func (s *HTTPSource) Close() { s.client.CloseIdleConnections() }

// Records implements Source. The context bounds the time it takes.
func (s *HTTPSource) Records(ctx context.Context, ids []events.ID, records []*Record) error {
	question := struct {
		IDs []string `json:"ids"`
	}{make([]string, len(ids))}
	for i, id := range ids {
		question.IDs[i] = id.String()
	}
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if s.options.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.options.Token)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("directory answers with status %d", response.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("directory answers with more than %d bytes", maxAnswer)
	}
	return s.read(data, ids, records)
}

func (s *HTTPSource) read(data []byte, ids []events.ID, records []*Record) error {
	var answer struct {
		Entities []json.RawMessage `json:"entities"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return errors.New("directory answers with something that is not of the documented form")
	}
	byID := make(map[events.ID]*Record, len(answer.Entities))
	var bad malformed
	for _, text := range answer.Entities {
		var d document
		wrong := json.Unmarshal(text, &d) // one at a time: what is wrong with one is no failure of the others
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
