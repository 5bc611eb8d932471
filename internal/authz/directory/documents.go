package directory

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// DocumentReader reads the documents of entities from a key-value store. It may be used from any goroutine.
type DocumentReader interface {
	// Documents reads the documents of ids, in order, into documents, which has the length of ids; nil means that there
	// is no document. It takes one round trip, however many ids there are. An error means that the store is
	// unavailable.
	Documents(ctx context.Context, ids []events.ID, documents [][]byte) error
}

// DocumentSource is a Source that reads documents such as
//
//	{"kind": "Queue", "organization": "29f6e823-...", "name": "Sales", "members": ["aa9730c4-..."]}
//
// A malformed document is counted and treated as missing.
type DocumentSource struct {
	reader    DocumentReader
	malformed *malformedReporter
}

var _ Source = (*DocumentSource)(nil)

// NewDocumentSource makes a source of the documents in a store. The logger and the registerer may be nil.
func NewDocumentSource(reader DocumentReader, logger *zap.Logger, reg prometheus.Registerer) *DocumentSource {
	return &DocumentSource{reader: reader, malformed: newMalformedReporter(logger, reg)}
}

// Records implements Source.
func (s *DocumentSource) Records(ctx context.Context, ids []events.ID, records []*Record) error {
	documents := make([][]byte, len(ids))
	if err := s.reader.Documents(ctx, ids, documents); err != nil {
		return err
	}
	var bad malformed
	for i, data := range documents {
		records[i] = nil
		if data == nil {
			continue
		}
		record, err := ParseRecord(data)
		if err != nil {
			bad.add(ids[i], err)
			continue
		}
		records[i] = record
	}
	s.malformed.report(&bad)
	return nil
}
