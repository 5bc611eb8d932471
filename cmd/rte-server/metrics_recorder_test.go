package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// metricRecorder keeps the greatest value of each metric, and of each value of its labels, of the programs of tests
// while they run. A key is name, or name{label=value}.
type metricRecorder struct {
	tests map[string]bool // names of the tests; checkedTests sets it

	mu  sync.Mutex
	max map[string]float64 // guarded by mu
	ran map[string]bool    // guarded by mu: tests that have started a program
}

// provoked records the tests that provokingTests returns.
var provoked = metricRecorder{tests: map[string]bool{}, max: map[string]float64{}, ran: map[string]bool{}}

// recorder returns the recorder of the program's test; nil: there is none.
func (p *running) recorder() *metricRecorder {
	test, _, _ := strings.Cut(p.t.Name(), "/")
	if !provoked.tests[test] {
		return nil
	}
	provoked.mu.Lock()
	defer provoked.mu.Unlock()
	provoked.ran[test] = true
	return &provoked
}

// follow records the metrics of a program until the returned function is called, for the recorder of its test if there
// is one.
func (p *running) follow() (stop func()) {
	r := p.recorder()
	if r == nil {
		return func() {}
	}
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		client := &http.Client{Timeout: patience, Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		}}
		for pause := time.Duration(0); ; {
			select {
			case <-ended:
				r.read(client, p.operators, p.token)
				return
			case <-time.After(pause):
				began := time.Now()
				r.read(client, p.operators, p.token)
				pause = max(20*time.Millisecond, 4*time.Since(began)) // at most a fifth of a processor
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(ended)
		<-done
	})
}

// read reads both pages of metrics. A node that does not answer has no values.
func (r *metricRecorder) read(client *http.Client, operators, token string) {
	for _, path := range []string{"/metrics", "/metrics/organizations"} {
		request, err := http.NewRequest(http.MethodGet, operators+path, http.NoBody)
		if err != nil {
			continue
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err == nil && response.StatusCode == http.StatusBadRequest { // it wants TLS
			_ = response.Body.Close()
			request.URL.Scheme = "https"
			response, err = client.Do(request)
		}
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		r.take(string(text))
	}
}

// take records the values of a page.
func (r *metricRecorder) take(page string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(page) {
		at := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			continue
		}
		for _, key := range metricKeys(line[:at]) {
			r.max[key] = max(r.max[key], value)
		}
	}
}

// labelPattern matches a label of a series.
var labelPattern = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// metricKeys returns the keys of a series of the product: the name, and one for each label with fixed values. A
// histogram counts by its number of observations.
func metricKeys(series string) (keys []string) {
	name, labels, _ := strings.Cut(series, "{")
	if !strings.HasPrefix(name, "rte_") && !strings.HasPrefix(name, "signalr_") ||
		strings.HasSuffix(name, "_bucket") || strings.HasSuffix(name, "_sum") {
		return nil
	}
	name = strings.TrimSuffix(name, "_count")
	keys = append(keys, name)
	for _, label := range labelPattern.FindAllStringSubmatch(labels, -1) {
		if !slices.Contains([]string{"organization", "version", "go"}, label[1]) {
			keys = append(keys, name+"{"+label[1]+"="+label[2]+"}")
		}
	}
	return keys
}

// missing returns the keys that never had a value above zero.
func (r *metricRecorder) missing() (keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, value := range r.max {
		if value == 0 {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// unseen returns the metrics of docs/metrics.md that no program had.
func (r *metricRecorder) unseen(page []byte) (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(string(page)) {
		rest, ok := strings.CutPrefix(line, "| `")
		name, _, _ := strings.Cut(rest, "`")
		if _, seen := r.max[name]; ok && !seen {
			names = append(names, name)
		}
	}
	return names
}
