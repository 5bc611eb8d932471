package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
)

// ErrPublish is the error of a server that did not take an event.
var ErrPublish = errors.New("server did not take the event")

// maxAnswer bounds the bytes that are read of an answer.
const maxAnswer = 1 << 20

// poster sends HTTP requests over one connection.
type poster struct {
	client      *http.Client
	base        string
	contentType string
	token       string // bearer token; empty: none
}

func newPoster(address netip.AddrPort, contentType string) poster {
	return poster{
		client:      &http.Client{Transport: &http.Transport{DisableCompression: true, MaxConnsPerHost: 1}},
		base:        loopbackURL(address),
		contentType: contentType,
	}
}

// send posts a body and returns the answer. The error reports an answer that is not a success.
func (p *poster) send(ctx context.Context, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", p.contentType)
	if p.token != "" {
		request.Header.Set("Authorization", "Bearer "+p.token)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("post events: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%w: %s: %.200s", ErrPublish, response.Status, answer)
	}
	return answer, nil
}

func (p *poster) close() error {
	p.client.CloseIdleConnections()
	return nil
}
