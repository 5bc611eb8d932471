package authz

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"github.com/rte-server/rte-server/internal/events"
)

// maxDirectoryFile is in bytes.
const maxDirectoryFile = 256 << 20

// FileDirectoryOptions say which file a FileDirectory reads.
type FileDirectoryOptions struct {
	// Path is a YAML file, or a JSON file if its name ends in .json.
	Path string
	// Changed is called, by Run, when another version of the file has come into force. Default: nothing.
	Changed func(Change)

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// FileDirectory is a directory in a file:
//
//	entities:
//	  - id: c9eeb030-ff4b-ea11-ac9c-00155d4fdcf3
//	    kind: Queue                # User, Queue or CallList
//	    organization: 29f6e823-b484-e611-80c9-00505689257e
//	    name: Sales                # for people
//	    members:                   # users of a queue or a call list
//	      - aa9730c4-ce86-e611-80c9-00505689257e
//
// The file is watched while Run runs. A changed file is taken whole or, if anything in it is wrong, not at all: then
// the version before stays in force and the log says so.
type FileDirectory struct {
	file    *watchedFile
	records atomic.Pointer[map[events.ID]*Record]
	changed func(Change) // nil: nobody wants to know
}

var _ Directory = (*FileDirectory)(nil)

// NewFileDirectory reads the file. An error names what is wrong in it.
func NewFileDirectory(o FileDirectoryOptions) (*FileDirectory, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	d := &FileDirectory{}
	parse := parseYAML
	if strings.EqualFold(filepath.Ext(o.Path), ".json") {
		parse = parseJSON
	}
	d.file = &watchedFile{
		path: o.Path, limit: maxDirectoryFile, logger: o.Logger, metrics: newWatchMetrics(o.Registerer, "directory"),
		load: func(data []byte) error { return d.load(data, parse) },
	}
	if err := d.file.read(); err != nil {
		return nil, fmt.Errorf("directory file: %w", err)
	}
	d.changed = o.Changed
	return d, nil
}

// Run watches the file until ctx ends. It returns nil.
func (d *FileDirectory) Run(ctx context.Context) error {
	d.file.run(ctx)
	return nil
}

// Lookup implements Directory.
func (d *FileDirectory) Lookup(_ context.Context, caller *Claims, ids []events.ID, entities []Entity) {
	records := *d.records.Load()
	for i, id := range ids {
		entities[i] = records[id].seenBy(caller.User)
	}
}

// load takes another version of the file into force.
func (d *FileDirectory) load(data []byte, parse func([]byte) ([]document, error)) error {
	documents, err := parse(data)
	if err != nil {
		return err
	}
	records := make(map[events.ID]*Record, len(documents))
	for i := range documents {
		id, ok := events.ParseID(documents[i].ID)
		if !ok {
			return fmt.Errorf("entity %d: id: not a GUID", i+1)
		}
		if _, double := records[id]; double {
			return fmt.Errorf("entity %d: id: %s occurs twice", i+1, id)
		}
		if records[id], err = documents[i].record(); err != nil {
			return fmt.Errorf("entity %d (%s): %w", i+1, id, err)
		}
	}
	d.records.Store(&records)
	if d.changed != nil {
		d.changed(Change{All: true})
	}
	return nil
}

// directoryFile is the form of the file.
type directoryFile struct {
	Entities []document `json:"entities" yaml:"entities"`
}

func parseYAML(data []byte) ([]document, error) {
	var file directoryFile
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return file.Entities, nil
}

func parseJSON(data []byte) ([]document, error) {
	var file directoryFile
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return file.Entities, nil
}
