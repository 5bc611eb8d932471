package directory

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

	"github.com/rte-server/rte-server/internal/authz/watch"
	"github.com/rte-server/rte-server/internal/events"
)

// maxFile is in bytes.
const maxFile = 256 << 20

// FileOptions say which file a File reads.
type FileOptions struct {
	// Path is a YAML file, or a JSON file if its name ends in .json.
	Path string
	// Changed is called, by Run, when another version of the file has come into force. Default: nothing.
	Changed func(Change)

	Logger     *zap.Logger           // default: none
	Registerer prometheus.Registerer // default: none
}

// File is a directory in a file:
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
type File struct {
	file    *watch.File
	records atomic.Pointer[map[events.ID]*Record]
	changed func(Change) // nil: nobody wants to know
}

// NewFile reads the file. An error names what is wrong in it.
func NewFile(o FileOptions) (*File, error) {
	d := &File{}
	parse := parseYAML
	if strings.EqualFold(filepath.Ext(o.Path), ".json") {
		parse = parseJSON
	}
	file, err := watch.New(watch.Options{
		Path: o.Path, Limit: maxFile, Load: func(data []byte) error { return d.load(data, parse) }, Name: "directory",
		Logger: o.Logger, Registerer: o.Registerer,
	})
	if err != nil {
		return nil, fmt.Errorf("directory file: %w", err)
	}
	d.file, d.changed = file, o.Changed
	return d, nil
}

// Run watches the file until ctx ends. It returns nil.
func (d *File) Run(ctx context.Context) error {
	return d.file.Run(ctx)
}

// Invalidate does nothing: Run reads the file again when it changes.
func (*File) Invalidate(Change) {}

// Lookup implements Directory.
func (d *File) Lookup(_ context.Context, caller Caller, ids []events.ID, entities []Entity) {
	records := *d.records.Load()
	for i, id := range ids {
		entities[i] = records[id].seenBy(caller.User)
	}
}

// load takes another version of the file into force.
func (d *File) load(data []byte, parse func([]byte) ([]document, error)) error {
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

// fileForm is the form of the file.
type fileForm struct {
	Entities []document `json:"entities" yaml:"entities"`
}

func parseYAML(data []byte) ([]document, error) {
	var file fileForm
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
	var file fileForm
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
