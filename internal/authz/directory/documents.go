package directory

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rte-server/rte-server/internal/events"
)

// DocumentReader reads what a key-value store holds of entities. It may be used from any goroutine.
type DocumentReader interface {
	// Documents reads the documents of ids, in order, into documents, which has the length of ids; nil is one that does
	// not exist. It is one round trip however many ids there are. An error says that the store could not be asked.
	Documents(ctx context.Context, ids []events.ID, documents [][]byte) error
}

// DocumentSource makes records of documents such as
//
//	{"kind": "Queue", "organization": "29f6e823-...", "name": "Sales", "members": ["aa9730c4-..."]}
//
// A document that is not of the form is taken for one that does not exist.
type DocumentSource struct {
	reader    DocumentReader
	malformed *malformedReporter
}

var _ Source = (*DocumentSource)(nil)

// NewDocumentSource makes a source of what a store holds. The logger and the registerer may be nil.
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
